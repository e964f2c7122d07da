package dispatch_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"parley/dispatch/internal/router"
	"parley/wire"
)

// TestTranscripts plays testdata/*.txt against a router (D1-D7). The files say
// what they mean by themselves; testdata/README.md explains the commands. After a
// change that is meant: go test ./dispatch -run TestTranscripts -rewrite, and
// review the difference.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".txt") {
			return
		}
		p := &player{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			return p.play(d)
		})
	})
}

type testRouter = router.Router[string, string, string]

// player keeps one router, or with "peer" several: one for each session.
type player struct {
	routers map[string]*testRouter
	current string
	now     time.Time
}

// vocabulary is the table of the transcripts.
type vocabulary struct{}

var words = map[string]wire.Type{"ping": 1, "pong": 2, "note": 3, "talk": 4, "line": 5, "riddle": 99, "status": 6}

func (vocabulary) Class(service uint32, t wire.Type) (router.Class, bool) {
	switch {
	case service == 7:
		if t == words["ping"] {
			return router.Answered, true
		}
		return router.Unregistered, true
	case service != 0:
		return router.Unregistered, false
	case t == words["ping"]:
		return router.Answered, true
	case t == words["note"]:
		return router.Unanswered, true
	case t == words["talk"]:
		return router.Conversing, true
	}
	return router.Unregistered, true
}

func (p *player) play(d *datadriven.TestData) string {
	if d.Cmd == "session" {
		return p.session(d)
	}
	a := arguments(d)
	r := p.routers[p.current]
	var out []router.Effect[string, string, string]
	switch d.Cmd {
	case "recv":
		h, payload := a.block()
		return p.effects(r, &h, payload, r.Arrive(p.now, &h, payload, nil))
	case "ask":
		id, err := r.Ask(a.word)
		return sent(fmt.Sprintf("sends %d", id), err)
	case "open":
		id, err := r.Open(a.word, router.Cost(a.size))
		return sent(fmt.Sprintf("sends %d, which begins ours/%d", id, id), err)
	case "send":
		o, err := r.Send(a.key, router.Cost(a.size), a.re)
		return sent(outgoing(o), err)
	case "request":
		o, err := r.Request(a.key, router.Cost(a.size), a.word)
		return sent(outgoing(o), err)
	case "forget":
		return fmt.Sprintf("was expected: %v", r.Forget(a.id))
	case "consume":
		out = r.Consumed(a.key, router.Cost(a.size), nil)
	case "end":
		if !r.End(a.key) {
			return "had ended already"
		}
		return fmt.Sprintf("sends the end of %s", name(a.key))
	case "gone":
		r.Gone(a.key)
	case "done":
		r.Done(a.id, router.Cost(a.size))
	case "clock":
		p.now = p.now.Add(a.wait)
		if at := r.Timer(); !at.IsZero() && !p.now.Before(at) {
			out = r.Tick(p.now, nil)
		}
	case "down":
		out = r.Down(nil)
	case "holds":
		z := r.Sizes()
		return fmt.Sprintf("%d replies awaited, %d conversations, %d requests, %d early, %d bytes queued",
			z.Asks, z.Conversations, z.Requests, z.Early, z.QueuedBytes+z.RequestBytes)
	default:
		return "no such command: " + d.Cmd
	}
	return p.effects(r, nil, nil, out)
}

// session makes a router, or turns to one there is.
func (p *player) session(d *datadriven.TestData) string {
	l := router.Limits{
		Requests: 4, RequestBytes: 4096, Conversations: 3, OneShots: 3, QueuedBytes: 4096, Window: 1024,
		EarlyBlocks: 3, EarlyBytes: 1024, EarlyWait: 5 * time.Second, Recent: 8, TellBurst: 2, TellInterval: time.Second,
	}
	who := ""
	for _, arg := range d.CmdArgs {
		if len(arg.Vals) == 0 {
			who = arg.Key
			continue
		}
		n, _ := strconv.Atoi(arg.Vals[0])
		*map[string]*int{
			"requests": &l.Requests, "request-bytes": &l.RequestBytes, "conversations": &l.Conversations,
			"replies": &l.OneShots, "queued-bytes": &l.QueuedBytes, "early": &l.EarlyBlocks, "recent": &l.Recent,
			"tells": &l.TellBurst,
		}[arg.Key] = n
	}
	if p.routers == nil {
		p.routers = make(map[string]*testRouter)
		p.now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	p.current = who
	if p.routers[who] != nil {
		return "back to the session with " + who
	}
	p.routers[who] = router.New[string, string, string](l, vocabulary{})
	return "a fresh session with " + who
}

// args are the arguments of a command.
type args struct {
	word    string
	id, re  uint64
	key     router.Key
	regards wire.RegardsKind
	service uint64
	flags   wire.Flags
	size    int
	credit  uint64
	old     uint64
	wait    time.Duration
}

func arguments(d *datadriven.TestData) args {
	var a args
	for _, arg := range d.CmdArgs {
		flag, known := map[string]wire.Flags{
			"more": wire.FlagMore, "last": wire.FlagLast, "error": wire.FlagError, "one-way": wire.FlagOneWay,
			"begin": wire.FlagBegin,
		}[arg.Key]
		switch {
		case known:
			a.flags |= flag
			continue
		case len(arg.Vals) == 0:
			a.word = arg.Key
			continue
		}
		n, _ := strconv.ParseUint(arg.Vals[0], 10, 64)
		switch arg.Key {
		case "id":
			a.id = n
		case "in-reply-to":
			a.re = n
		case "ours":
			a.key, a.regards = router.Key{Side: router.Ours, ID: n}, wire.RegardsReceiver
		case "theirs":
			a.key, a.regards = router.Key{Side: router.Theirs, ID: n}, wire.RegardsSender
		case "service":
			a.service, a.regards = n, wire.RegardsService
		case "size":
			a.size = int(n)
		case "credit":
			a.credit = n
		case "incarnation":
			a.old = n
		case "by":
			a.wait, _ = time.ParseDuration(arg.Vals[0])
		default:
			panic("no such argument: " + arg.Key)
		}
	}
	return a
}

func (a args) block() (wire.Header, []byte) {
	h := wire.Header{
		ID: a.id, InReplyTo: a.re, Regards: a.regards, RegardsID: a.key.ID + a.service, Flags: a.flags,
		Credit: a.credit, RegardsIncarnation: a.old,
	}
	if a.word != "" {
		h.Type = words[a.word]
		if h.Type == 0 {
			panic("no such word: " + a.word)
		}
	}
	return h, make([]byte, a.size)
}

func name(k router.Key) string {
	return fmt.Sprintf("%s/%d", [...]string{"ours", "theirs"}[k.Side], k.ID)
}

func word(t wire.Type) string {
	for w, n := range words {
		if n == t {
			return w
		}
	}
	return "credit"
}

func sent(what string, err error) string {
	switch {
	case errors.Is(err, router.ErrWouldBlock):
		return "waits for credit"
	case err != nil:
		return strings.TrimPrefix(err.Error(), "router: ")
	}
	return what
}

func outgoing(o router.Outgoing) string {
	s := fmt.Sprintf("sends %d", o.ID)
	if o.InReplyTo != 0 {
		s += fmt.Sprintf(", in reply to %d", o.InReplyTo)
	}
	if o.Regards != 0 {
		side := router.Theirs
		if o.Regards == wire.RegardsSender {
			side = router.Ours
		}
		s += ", regarding " + name(router.Key{Side: side, ID: o.RegardsID})
	}
	return s
}

// effects carries effects out, as far as the router wants to hear of it, and says
// what they are.
func (p *player) effects(r *testRouter, h *wire.Header, payload []byte, out []router.Effect[string, string, string]) string {
	if len(out) == 0 {
		return "nothing"
	}
	var b strings.Builder
	for i := 0; i < len(out); i++ {
		e, h := out[i], h
		early := ""
		if e.Held != nil {
			h, early = &e.Held.Header, " (which came early)"
		}
		last := ""
		if !e.Last {
			last = ", more to come"
		}
		switch e.Kind {
		case router.Request:
			fmt.Fprintf(&b, "run the handler of %s for %d\n", word(h.Type), e.ID)
			out = r.BindRequest(p.now, e.ID, fmt.Sprintf("request %d", e.ID), out)
		case router.Service:
			fmt.Fprintf(&b, "run service %d's handler of %s for %d\n", h.RegardsID, word(h.Type), e.ID)
			out = r.BindRequest(p.now, e.ID, fmt.Sprintf("request %d", e.ID), out)
		case router.OneWay:
			fmt.Fprintf(&b, "run the handler of %s, which is not answered\n", word(h.Type))
		case router.Begin:
			fmt.Fprintf(&b, "begin conversation %s with %s\n", name(e.Key), word(h.Type))
			out = r.BindConversation(p.now, e.ID, name(e.Key), out)
		case router.Reply:
			fmt.Fprintf(&b, "hand %s to %q%s\n", word(h.Type), e.Ask, last)
		case router.Message:
			fmt.Fprintf(&b, "hand %s%s to conversation %s\n", word(h.Type), early, name(e.Key))
		case router.ReplyIn:
			fmt.Fprintf(&b, "hand %s%s to %q in conversation %s%s\n", word(h.Type), early, e.Ask, name(e.Key), last)
		case router.PeerEnded:
			fmt.Fprintf(&b, "conversation %s is ended by the peer\n", name(e.Key))
		case router.Violated:
			fmt.Fprintf(&b, "end conversation %s: %v, %q\n", name(e.Key), e.Code, e.Text)
		case router.PeerCanceled:
			fmt.Fprintf(&b, "cancel %s\n", e.Req)
		case router.MoreCredit:
			fmt.Fprintf(&b, "conversation %s may send more\n", name(e.Key))
		case router.AskLost:
			fmt.Fprintf(&b, "tell %q that no reply will come\n", e.Ask)
		case router.Lost:
			fmt.Fprintf(&b, "conversation %s is lost\n", name(e.Key))
		case router.RequestLost:
			fmt.Fprintf(&b, "cancel %s, the peer is gone\n", e.Req)
		case router.Grant:
			fmt.Fprintf(&b, "grant %s credit up to %d\n", name(e.Key), e.Credit)
		case router.Tell:
			fmt.Fprintf(&b, "tell the peer that %s is ended: %v, %q\n", name(e.Key), e.Code, e.Text)
		case router.Refuse:
			fmt.Fprintf(&b, "refuse %d (%v): %v, %q\n", e.ID, e.Reason, e.Code, e.Text)
		case router.Drop:
			fmt.Fprintf(&b, "drop (%v)\n", e.Reason)
		}
	}
	return b.String()
}
