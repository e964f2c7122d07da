package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/examples/chat/chatpb"
	"parley/peer"
	"parley/wire"
)

// recorder is an interface that notes what it is shown.
type recorder struct {
	mu     sync.Mutex
	events []string
	hold   chan struct{} // while not nil, messages are not shown before it is closed
}

func (*recorder) run(func(string) bool) error { return nil }
func (*recorder) close()                      {}

func (r *recorder) show(e event) error {
	text := plainText(e)
	r.mu.Lock()
	hold := r.hold
	r.mu.Unlock()
	if _, ok := e.(message); ok && hold != nil {
		<-hold
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if text != "" {
		r.events = append(r.events, text)
	}
	return nil
}

// got returns what was shown since the last call.
func (r *recorder) got() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}

// site is a room on a transport in memory.
type site struct {
	*room
	*recorder
	t    *testing.T
	end  *dispatchtest.Endpoint
	d    *dispatch.Dispatcher
	hung []uint64
	work sync.WaitGroup

	connecting sync.RWMutex
}

// connect begins a session. What the rooms do about it they do when it is complete:
// in the middle of Connect an endpoint cannot send yet.
func connect(a, b *site) {
	a.connecting.Lock()
	defer a.connecting.Unlock()
	b.connecting.Lock()
	defer b.connecting.Unlock()
	dispatchtest.Connect(a.end, b.end)
}

// newSite makes a room of the n-th peer. It works in a synctest bubble.
func newSite(t *testing.T, n int, nick string) *site {
	t.Helper()
	s := &site{t: t, recorder: &recorder{}, end: dispatchtest.New(dispatchtest.ID(n))}
	s.room = newRoom(t.Context(), s.recorder, &book{self: s.end.LocalID()}, func(f func()) {
		s.work.Go(func() {
			s.connecting.RLock()
			s.connecting.RUnlock() //nolint:staticcheck // to wait for the end of connect
			f()
		})
	})
	s.room.hangUp = func(_ peer.ID, session uint64) {
		s.mu().Lock()
		defer s.mu().Unlock()
		s.hung = append(s.hung, session)
	}
	g := &gate{Transport: s.end, room: s.room}
	var err error
	if s.d, err = dispatch.New(g, dispatch.Config{}); err != nil {
		t.Fatal(err)
	}
	if s.room.protocol, err = newProtocol(s.d, nick, uint64(n), s.room); err != nil {
		t.Fatal(err)
	}
	g.open()
	t.Cleanup(s.shut)
	return s
}

func (s *site) mu() *sync.Mutex { return &s.recorder.mu }

func (s *site) shut() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.room.leave(ctx)
	closing, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.d.Close(closing); err != nil {
		s.t.Error(err)
	}
	s.work.Wait()
}

// knows gives a peer a petname, and an address if dialled.
func (s *site) knows(name string, other *site, dialled bool) {
	s.t.Helper()
	if err := s.book.add(name, other.end.LocalID(), "", false); err != nil {
		s.t.Fatal(err)
	}
	if dialled {
		s.expect(other.end.LocalID(), true)
	}
}

// shows checks what a user has seen since the last time.
func (s *site) shows(want ...string) {
	s.t.Helper()
	if got := s.got(); !slices.Equal(got, want) {
		s.t.Errorf("%s sees\n\t%s\nnot\n\t%s", s.room.protocol.hello.GetNick(), strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (s *site) says(text string) {
	s.t.Helper()
	if err := s.say(text, nil); err != nil {
		s.t.Error(err)
	}
}

// inBubble runs a test with two rooms whose users know each other.
func inBubble(t *testing.T, f func(t *testing.T, alice, bob *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		alice, bob := newSite(t, 1, "alice"), newSite(t, 2, "bob")
		alice.knows("bob", bob, false)
		bob.knows("alice", alice, true)
		connect(alice, bob)
		alice.shows("up bob")
		bob.shows("up alice")
		f(t, alice, bob)
	})
}

func TestDeliveredMeansShown(t *testing.T) {
	inBubble(t, func(t *testing.T, alice, bob *site) {
		shown := make(chan struct{})
		bob.mu().Lock()
		bob.hold = shown
		bob.mu().Unlock()
		alice.says("hello")
		alice.shows() // not delivered, though bob's program has it
		bob.shows()
		close(shown)
		bob.shows("msg alice hello")
		alice.shows("delivered 1")
	})
}

// TestResend: what was not acknowledged when the session broke is sent again, and
// shown once.
func TestResend(t *testing.T) {
	inBubble(t, func(t *testing.T, alice, bob *site) {
		bob.says("one")
		alice.shows("msg bob one")
		bob.shows("delivered 1")
		// From now on nothing that alice says gets through, acknowledgements included.
		alice.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
		bob.says("two")
		alice.shows("msg bob two")
		bob.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
		bob.says("three")
		alice.shows()
		bob.shows()
		dispatchtest.Disconnect(alice.end, bob.end, errors.New("cable cut"))
		alice.shows("down bob cable cut")
		bob.shows("down alice cable cut")
		bob.says("four")
		bob.shows("notice alice is not connected; lines wait for it from line 4 on")
		alice.end.Intercept(nil)
		bob.end.Intercept(nil)
		connect(alice, bob)
		alice.shows("up bob", "msg bob three", "msg bob four")
		bob.shows("up alice", "delivered 2", "delivered 3", "delivered 4")
	})
}

// TestRefusedLine: a line that a peer refuses is given up with the peer's reason, not
// sent again for ever, and the lines after it arrive.
func TestRefusedLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, r := newSite(t, 1, "alice"), newRude(t)
		other := &site{end: r.e}
		alice.knows("picky", other, true)
		var heard []string
		r.hears = func(c *dispatch.Conversation, m *chatpb.Line) error {
			heard = append(heard, m.GetText())
			if m.GetText() == "bad" {
				return dispatch.Errorf(wire.InvalidArgument, "no bad lines")
			}
			return c.Send(&chatpb.Ack{Number: m.GetNumber()})
		}
		connect(alice, other)
		r.opens(alice)
		alice.shows("up picky")
		alice.says("one")
		alice.says("bad")
		alice.says("three")
		got := alice.got()
		for range 3 { // as often as it takes
			dispatchtest.Disconnect(alice.end, r.e, errors.New("hung up"))
			connect(alice, other)
			r.opens(alice)
			got = append(got, alice.got()...)
		}
		for text, n := range map[string]int{
			"delivered 1": 1, "undelivered 1": 0, "delivered 3": 1, "undelivered 3": 0,
			"undelivered 2 picky it says InvalidArgument: no bad lines": 1,
		} {
			if c := strings.Count("\n"+strings.Join(got, "\n"), "\n"+text); c != n {
				t.Errorf("alice sees %q %d times:\n\t%s", text, c, strings.Join(got, "\n\t"))
			}
		}
		if n := strings.Count(strings.Join(heard, " "), "bad"); n > 2 { // at first, and alone
			t.Errorf("the bad line was sent %d times: %q", n, heard)
		}
	})
}

// TestUnfitLines: what a peer's program would refuse is not sent.
func TestUnfitLines(t *testing.T) {
	inBubble(t, func(_ *testing.T, alice, bob *site) {
		for text, want := range map[string]string{
			"x\ry":                         "not sent: the line has a line break (CR or LF) in it",
			"x\ny":                         "not sent: the line has a line break (CR or LF) in it",
			"\xff":                         "not sent: the line is not UTF-8",
			strings.Repeat("x", maxLine+1): "not sent: the line has 4097 bytes, and 4096 is the most",
		} {
			if err := alice.say(text, nil); err == nil || err.Error() != want {
				alice.t.Errorf("%.9q: %v", text, err)
			}
		}
		alice.says(strings.Repeat("x", maxLine))
		alice.shows("delivered 1")
		bob.shows("msg alice " + strings.Repeat("x", maxLine))
	})
}

// TestReplacedSession: a new session that comes while the old one's messages are
// still being shown is not refused, and does not get ahead of them.
func TestReplacedSession(t *testing.T) {
	inBubble(t, func(t *testing.T, alice, bob *site) {
		shown := make(chan struct{})
		bob.mu().Lock()
		bob.hold = shown
		bob.mu().Unlock()
		alice.says("one")
		bob.shows()
		connect(alice, bob)
		bob.shows()
		close(shown)
		got := bob.got()
		want := []string{"msg alice one", "down alice dispatchtest: replaced", "up alice"}
		if !slices.Equal(got, want) {
			t.Errorf("bob sees %q", got)
		}
		if got := alice.got(); !slices.Contains(got, "delivered 1") {
			t.Errorf("alice sees %q", got)
		}
	})
}

// TestStrangerLeaves: nobody keeps lines for a stranger who may never return.
func TestStrangerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := newSite(t, 1, "alice"), newSite(t, 2, "al\u0456ce")
		alice.knows("alice2", newSite(t, 3, ""), false)
		bob.knows("alice", alice, false)
		connect(alice, bob)
		id := bob.end.LocalID().Short()
		alice.shows("up " + id + " \"al\u0456ce\" (mixes scripts)")
		bob.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
		alice.says("hello")
		alice.shows()
		dispatchtest.Disconnect(alice.end, bob.end, errors.New("cable cut"))
		alice.shows("down "+id+" cable cut", "undelivered 1 "+id+" it left")
		if n := len(alice.members); n != 0 {
			t.Errorf("%d members are remembered", n)
		}
		if err := alice.say("anybody?", nil); !errors.Is(err, errNobody) {
			t.Errorf("said to nobody: %v", err)
		}
	})
}

// TestSeveralPeers: a line is delivered when all have it, and undelivered when one
// never will.
func TestSeveralPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob, carol := newSite(t, 1, "alice"), newSite(t, 2, "bob"), newSite(t, 3, "carol")
		alice.knows("bob", bob, false)
		connect(alice, bob)
		connect(alice, carol)
		alice.got()
		shown := make(chan struct{})
		carol.mu().Lock()
		carol.hold = shown
		carol.mu().Unlock()
		alice.says("one")
		alice.says("two")
		m, err := alice.find("bob")
		if err != nil {
			t.Fatal(err)
		}
		if err := alice.say("three", m); err != nil {
			t.Fatal(err)
		}
		alice.shows("delivered 3") // bob has all, carol none
		close(shown)
		alice.shows("delivered 1", "delivered 2")
	})
}

// TestFullOutbox: at maxWaiting lines we wait for who is there, and refuse for who is
// not.
func TestFullOutbox(t *testing.T) {
	inBubble(t, func(t *testing.T, alice, bob *site) {
		shown := make(chan struct{})
		alice.mu().Lock()
		alice.hold = shown
		alice.mu().Unlock()
		for range maxWaiting {
			bob.says("x")
		}
		more := make(chan error, 1)
		go func() { more <- bob.say("one more", nil) }()
		synctest.Wait()
		select {
		case <-more:
			t.Error("the line was not waited with")
		default:
		}
		close(shown)
		synctest.Wait()
		if err := <-more; err != nil {
			t.Error(err)
		}
		if got := bob.got(); len(got) != maxWaiting+1 || got[maxWaiting] != fmt.Sprintf("delivered %d", maxWaiting+1) {
			t.Errorf("%d events, the last %q", len(got), got[len(got)-1])
		}
		dispatchtest.Disconnect(alice.end, bob.end, errors.New("cable cut"))
		bob.got()
		for range maxWaiting {
			bob.says("x")
		}
		bob.got()
		bob.says("one too many")
		bob.shows(fmt.Sprintf("undelivered %d alice %d lines wait for it already", 2*maxWaiting+2, maxWaiting))
	})
}

// TestLeave: the other side sees that one has left, and lines are not left behind in
// silence.
func TestLeave(t *testing.T) {
	inBubble(t, func(t *testing.T, alice, bob *site) {
		if n := bob.leave(t.Context()); n != 0 {
			t.Errorf("%d lines are lost", n)
		}
		alice.shows("down bob left")
		bob.shows()
		if err := bob.say("too late", nil); !errors.Is(err, errLeaving) {
			t.Errorf("said after leaving: %v", err)
		}
		if len(alice.hung) != 1 {
			t.Error("alice keeps the session of one who left")
		}
	})
	inBubble(t, func(t *testing.T, alice, bob *site) {
		alice.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
		bob.says("hello?")
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), deliveryWait)
		defer cancel()
		if n := bob.leave(ctx); n != 1 || time.Since(begun) != deliveryWait {
			t.Errorf("%d lines are lost after %v", n, time.Since(begun))
		}
		bob.shows("notice waiting for 1 line to be delivered", "undelivered 1 alice you left first")
		alice.shows("msg bob hello?", "down bob left")
	})
}

// TestRemembered: what is remembered of strangers is bounded.
func TestRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice := newSite(t, 1, "alice")
		alice.room.mu.Lock()
		defer alice.room.mu.Unlock()
		for i := range uint64(3 * maxRemembered) {
			alice.remember(peer.ID{byte(i), byte(i >> 8)}, mark{i, 1})
		}
		if len(alice.shown) != maxRemembered {
			t.Errorf("%d are remembered", len(alice.shown))
		}
	})
}
