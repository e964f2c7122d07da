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

func (*recorder) run(func(string)) error { return nil }
func (*recorder) close()                 {}

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
		bob.shows("notice waiting for 1 lines to be delivered", "undelivered 1 alice you left first")
		alice.shows("msg bob hello?", "down bob left")
	})
}

// rude is a peer without manners.
type rude struct {
	t *testing.T
	d *dispatch.Dispatcher
	e *dispatchtest.Endpoint
	// acks and over tell of its own conversation, greeted of the other's.
	acks    []uint64
	over    []error
	greeted *dispatch.Conversation
}

func newRude(t *testing.T) *rude {
	t.Helper()
	r := &rude{t: t, e: dispatchtest.New(dispatchtest.ID(9))}
	var err error
	if r.d, err = dispatch.New(r.e, dispatch.Config{}); err != nil {
		t.Fatal(err)
	}
	theirs, err := dispatch.NewBehavior(dispatch.On(func(*rude, *dispatch.Conversation, *chatpb.Line) error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	err = dispatch.Converse(r.d, func(c *dispatch.Conversation, _ *chatpb.Hello) (*rude, error) {
		r.greeted = c
		return r, nil
	}, theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.d.Close(context.Background()) })
	return r
}

func (r *rude) opens(to *site) *dispatch.Conversation {
	r.t.Helper()
	b, err := dispatch.NewBehavior(
		dispatch.On(func(r *rude, _ *dispatch.Conversation, m *chatpb.Ack) error {
			r.acks = append(r.acks, m.GetNumber())
			return nil
		}),
		dispatch.OnEnd(func(r *rude, _ *dispatch.Conversation, err error) { r.over = append(r.over, err) }),
	)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := dispatch.Open(r.t.Context(), r.d, to.end.LocalID(), &chatpb.Hello{Nick: "rude\x1b[31m\nmsg alice", Run: 9}, r, b)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// TestRudePeers: who breaks the rules of the protocol is told so, and is gone.
func TestRudePeers(t *testing.T) {
	for _, c := range []struct {
		name string
		does func(r *rude, alice *site, c *dispatch.Conversation)
		code wire.Code
	}{
		{"numbers that do not rise", func(_ *rude, _ *site, c *dispatch.Conversation) {
			_ = say(c, 2, "two")
			_ = say(c, 2, "two again")
		}, wire.InvalidArgument},
		{"line 0", func(_ *rude, _ *site, c *dispatch.Conversation) { _ = say(c, 0, "zero") }, wire.InvalidArgument},
		{"a long line", func(_ *rude, _ *site, c *dispatch.Conversation) {
			_ = say(c, 1, strings.Repeat("x", maxLine+1))
		}, wire.InvalidArgument},
		{"two lines in one", func(_ *rude, _ *site, c *dispatch.Conversation) { _ = say(c, 1, "one\ntwo") }, wire.InvalidArgument},
		{"another type", func(_ *rude, _ *site, c *dispatch.Conversation) {
			_ = c.Send(&chatpb.Hello{})
		}, wire.Unimplemented},
		{"an acknowledgement of nothing", func(r *rude, _ *site, _ *dispatch.Conversation) {
			_ = r.greeted.Send(&chatpb.Ack{Number: 1})
		}, wire.OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				alice, r := newSite(t, 1, "alice"), newRude(t)
				connect(alice, &site{end: r.e})
				conv := r.opens(alice)
				id := r.e.LocalID().Short()
				alice.shows("up " + id + ` "rude[31m-msg-alice"`)
				c.does(r, alice, conv)
				got := alice.got()
				if len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "down "+id) {
					t.Errorf("alice sees %q", got)
				}
				if len(r.over) != 1 || c.code != dispatch.CodeOf(r.over[0]) {
					t.Errorf("it is told %v", r.over)
				}
				if len(alice.hung) != 1 {
					t.Error("it keeps the session")
				}
			})
		})
	}
	t.Run("a second conversation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			alice, r := newSite(t, 1, "alice"), newRude(t)
			connect(alice, &site{end: r.e})
			first := r.opens(alice)
			alice.got()
			r.opens(alice)
			synctest.Wait()
			if len(r.over) != 1 || dispatch.CodeOf(r.over[0]) != wire.AlreadyExists {
				t.Errorf("it is told %v", r.over)
			}
			_ = say(first, 1, "still here")
			alice.shows("msg " + r.e.LocalID().Short() + " still here")
		})
	})
}

// TestOtherProgram: a peer that is no chat is no more than a notice.
func TestOtherProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, other := newSite(t, 1, "alice"), dispatchtest.New(dispatchtest.ID(9))
		d, err := dispatch.New(other, dispatch.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close(t.Context())
		connect(alice, &site{end: other})
		got := alice.got()
		if len(got) != 1 || !strings.HasPrefix(got[0], "notice "+other.LocalID().Short()+" does not chat with us: it says Unimplemented") {
			t.Errorf("alice sees %q", got)
		}
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

// TestNicknameIsNoName: what a stranger calls itself resolves to nobody (I3).
func TestNicknameIsNoName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := newSite(t, 1, "alice"), newSite(t, 2, "bobby-tables")
		connect(alice, bob)
		alice.got()
		if m, err := alice.find("bobby-tables"); err == nil {
			t.Errorf("found %v", m.id)
		}
		for _, name := range []string{bob.end.LocalID().Short(), bob.end.LocalID().String()} {
			if m, err := alice.find(name); err != nil || m.id != bob.end.LocalID() {
				t.Errorf("%s is not found: %v", name, err)
			}
		}
		if _, err := alice.find(bob.end.LocalID().String()[:shortLen-1]); err == nil {
			t.Error("a part of an id is enough that anybody could have")
		}
	})
}

// TestGate: nothing comes before all handlers are registered.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &attachments{Endpoint: dispatchtest.New(dispatchtest.ID(1))}
		g := &gate{Transport: e, room: newRoom(t.Context(), &recorder{}, &book{}, nil)}
		d, err := dispatch.New(g, dispatch.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close(t.Context())
		if e.n != 0 {
			t.Error("the traffic comes at once")
		}
		if g.open(); e.n != 1 {
			t.Error("the traffic does not come")
		}
	})
}

// attachments counts them.
type attachments struct {
	*dispatchtest.Endpoint
	n int
}

func (a *attachments) Attach(up func(peer.ID, uint64, uint64), block func(peer.ID, uint64, []byte), down func(peer.ID, uint64, error)) {
	a.n++
	a.Endpoint.Attach(up, block, down)
}
