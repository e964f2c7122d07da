package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"parley/peer"
)

// robotName is what the robot of -demo is called, if the user has no such friend.
const robotName = "robot"

// startRobot starts a second node in this process, whose user is a robot, and makes
// it a friend of the first, which s is for. The two share nothing but memory: they
// talk over real sockets.
func startRobot(s *settings, talkative bool) (*node, error) {
	key, err := peer.GenerateKey()
	if err != nil {
		return nil, err
	}
	r := newRobot()
	if talkative {
		r.idle = smallTalkEvery
	}
	n, err := newNode(settings{
		home: &home{key: key, book: &book{self: key.ID()}}, listen: "127.0.0.1:0",
		nick: robotName, secret: s.secret, ui: r, log: s.log,
	})
	if err != nil {
		return nil, err
	}
	f := friend{robotName, key.ID(), n.host.Addr().String()}
	for i := 2; s.home.book.like(f.name) != ""; i++ {
		f.name = fmt.Sprintf("%s-%d", robotName, i)
	}
	if err := s.home.book.add(f.name, f.id, f.address, false); err != nil {
		return nil, err
	}
	s.given = append(s.given, f)
	n.open()
	n.spawn(func() { _ = r.run(n.submit) })
	return n, nil
}

// leaveAtOnce ends a node whose lines nobody waits for.
func (n *node) leaveAtOnce() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	n.ui.close()
	n.leave(ctx)
}

// robot is the user of the demo's second node: it answers what it is told, and now
// and then says something by itself.
type robot struct {
	idle time.Duration // after this long without a line it speaks up; 0 is never

	says   chan string // what it is going to say
	closed chan struct{}
	once   sync.Once
}

const (
	// smallTalkEvery is how often a robot speaks up by itself.
	smallTalkEvery = 7 * time.Second
	// maxThoughts is how many answers a robot keeps in mind; it forgets the others.
	maxThoughts = 64
)

func newRobot() *robot {
	return &robot{says: make(chan string, maxThoughts), closed: make(chan struct{})}
}

// show implements ui.
func (r *robot) show(e event) error {
	var say string
	switch e := e.(type) {
	case arrived:
		say = "Hello! I am a robot, a second peer in your process. Between us are two UDP sockets, and everything on them is encrypted from key to key."
	case message:
		say = answer(e.text)
	default:
		return nil
	}
	select {
	case r.says <- say:
	default:
	}
	return nil
}

// run implements ui.
func (r *robot) run(submit func(string) bool) error {
	topics := smallTalk
	for {
		var bored <-chan time.Time
		var timer *time.Timer
		if r.idle > 0 && len(topics) > 0 {
			timer = time.NewTimer(r.idle)
			bored = timer.C
		}
		select {
		case say := <-r.says:
			submit(say)
		case <-bored:
			submit(topics[0])
			topics = topics[1:]
		case <-r.closed:
			return nil
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// close implements ui.
func (r *robot) close() { r.once.Do(func() { close(r.closed) }) }

// answer is what the robot says to a text.
func answer(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r < 'a' || r > 'z' })
	for _, a := range answers {
		for _, w := range words {
			if strings.Contains(a.words, " "+w+" ") {
				return a.text
			}
		}
	}
	if strings.HasSuffix(strings.TrimSpace(text), "?") {
		return "I am a simple robot: ask me about keys, names, delivery, or what happens when a connection breaks."
	}
	switch len(words) {
	case 0:
		return "I have no words for that."
	case 1:
		return "A short line. I can do that too: indeed."
	}
	return fmt.Sprintf("Of your %d words I like %q best.", len(words), longest(words))
}

func longest(words []string) string {
	l := words[0]
	for _, w := range words {
		if len(w) > len(l) {
			l = w
		}
	}
	return l
}

// answers has the words, each between spaces, that a text answers to.
var answers = []struct{ words, text string }{
	{" bye goodbye ciao quit exit leave ", "Goodbye! To chat with a person, start without -demo: it says what they have to type."},
	{" delivered deliver delivery arrive arrived ack ", "That this program has shown me your line. Not that it was sent, nor that a machine on the way has it."},
	{" break breaks broken lost cable fails reconnect ", "Our session outlives it: what you type waits, and arrives on the next connection, once and in order. Unplug the network and see."},
	{" key keys know id identity trust prove who ", "By my key. It is who I am: nobody else can answer to it, and no authority had to sign it."},
	{" name names petname nick nickname ", "You call me what you like: a petname is yours alone. What a stranger calls himself is shown in quotes and never taken for a name."},
	{" safe secure encrypted secret tls quantum ", "TLS 1.3 both ways, with a key exchange that a quantum computer would not help against."},
	{" help ", "Type /help for the commands. Or just go on talking, I am patient."},
	{" hello hi hey greetings good moin hallo ", "Pleased to meet you. You can type anything; I answer as well as a robot can."},
	{" thanks thank ", "You are welcome."},
}

// smallTalk is what the robot says by itself, in this order.
var smallTalk = []string{
	"By the way: the mark behind your lines says that I have seen them.",
	"There is no server. If you unplugged the network we could still talk.",
	"Page Up and Page Down scroll back, and Escape leaves.",
	"My name in your list is a petname: you could call me otherwise with /name.",
	"Ask me what happens when the connection breaks, or how you know that it is me.",
	"I have said all I can by myself. Over to you.",
}
