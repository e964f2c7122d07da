package dispatch_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

// The test conversation begins with a text; "x" as text is appended to the log of
// whoever hears it; a number is a request; a flag does things.
type talk struct {
	mu    sync.Mutex
	heard []string
	ends  chan error
	kids  chan error
	hook  func(c *dispatch.Conversation, m text) error
}

func newTalk() *talk { return &talk{ends: make(chan error, 100), kids: make(chan error, 100)} }

func (k *talk) line(c *dispatch.Conversation, m text) error {
	k.mu.Lock()
	k.heard = append(k.heard, m.GetValue())
	k.mu.Unlock()
	if k.hook != nil {
		return k.hook(c, m)
	}
	return nil
}

func (k *talk) double(_ *dispatch.Conversation, m number) (number, error) {
	if m.GetValue() < 0 {
		return nil, dispatch.Errorf(wire.OutOfRange, "negative")
	}
	return num(2 * m.GetValue()), nil
}

func (k *talk) end(_ *dispatch.Conversation, err error) { k.ends <- err }

func (k *talk) childEnd(_, _ *dispatch.Conversation, err error) { k.kids <- err }

func (k *talk) said() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.heard, " ")
}

func behavior(t testing.TB) *dispatch.Behavior[*talk] {
	t.Helper()
	b, err := dispatch.NewBehavior(
		dispatch.On((*talk).line),
		dispatch.OnRequest((*talk).double),
		dispatch.OnEnd((*talk).end),
		dispatch.OnChildEnd((*talk).childEnd),
	)
	must(t, err)
	return b
}

// accept has s answer conversations with the given talk.
func accept(t testing.TB, s side, k *talk, begin func(c *dispatch.Conversation, first text) error) {
	t.Helper()
	must(t, dispatch.Converse(s.Dispatcher, func(c *dispatch.Conversation, first text) (*talk, error) {
		k.mu.Lock()
		k.heard = append(k.heard, first.GetValue())
		k.mu.Unlock()
		if begin != nil {
			if err := begin(c, first); err != nil {
				return nil, err
			}
		}
		return k, nil
	}, behavior(t)))
}

func open(t testing.TB, from, to side, k *talk) *dispatch.Conversation {
	t.Helper()
	c, err := dispatch.Open(t.Context(), from.Dispatcher, to.id, say("begin"), k, behavior(t))
	must(t, err)
	return c
}

func TestConversation(t *testing.T) { // DI4, DI7, D4, D5, A1
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		var wires []string
		trace := func(who string) func(dispatchtest.Block) dispatchtest.Action {
			return func(blk dispatchtest.Block) dispatchtest.Action {
				h, _, err := blk.Header()
				must(t, err)
				s := fmt.Sprintf("%s %d", who, h.ID)
				if h.InReplyTo != 0 {
					s += fmt.Sprintf(" re %d", h.InReplyTo)
				}
				if h.Regards != 0 {
					s += fmt.Sprintf(" on %d/%d", h.Regards, h.RegardsID)
				}
				if h.Flags&wire.FlagLast != 0 {
					s += " last"
				}
				wires = append(wires, s)
				return dispatchtest.Deliver
			}
		}
		a.end.Intercept(trace("a"))
		b.end.Intercept(trace("b"))
		ka, kb := newTalk(), newTalk()
		theirs := make(chan *dispatch.Conversation, 1)
		accept(t, b, kb, func(c *dispatch.Conversation, _ text) error {
			theirs <- c
			must(t, c.Send(say("first")))
			return c.Send(say("second"))
		})
		c := open(t, a, b, ka)
		synctest.Wait()
		must(t, c.Send(say("third")))
		synctest.Wait()
		d := <-theirs
		if c.ID().Seq != d.ID().Seq || c.ID().Sender != a.id || d.ID().Sender != a.id || c.Peer() != b.id || d.Peer() != a.id {
			t.Errorf("ids %v and %v", c.ID(), d.ID())
		}
		if dispatch.PeerOf(c.Context()) != b.id {
			t.Errorf("PeerOf = %v", dispatch.PeerOf(c.Context()))
		}
		c.End()
		c.End()
		<-c.Done()
		<-d.Done()
		synctest.Wait()
		if c.Err() != nil || d.Err() != nil {
			t.Errorf("a normal end gives %v and %v", c.Err(), d.Err())
		}
		if err := errors.Join(<-ka.ends, <-kb.ends); err != nil || len(ka.ends)+len(kb.ends) != 0 {
			t.Errorf("OnEnd is told %v, or twice", err)
		}
		if ka.said() != "first second" || kb.said() != "begin third" {
			t.Errorf("a heard %q, b %q", ka.said(), kb.said())
		}
		want := "a 1, b 1 re 1, b 2 on 2/1, a 2 on 1/1, a 3 on 1/1 last"
		if got := strings.Join(wires, ", "); got != want {
			t.Errorf("on the wire:\n%s, want\n%s", got, want)
		}
		wantCode(t, c.Send(say("late")), wire.Aborted, false)
		wantCode(t, dispatch.Do(c, func(*talk, *dispatch.Conversation) error { return nil }), wire.Aborted, false)
		wantNothingHeld(t, a, b)
	})
}

func TestEnds(t *testing.T) { // A2, A3
	for _, tc := range []struct {
		name        string
		hook        func(c *dispatch.Conversation, m text) error
		here, there wire.Code // of what the two ends are told
		text        string
	}{
		{"status", func(*dispatch.Conversation, text) error { return dispatch.Errorf(wire.NotFound, "no") }, wire.NotFound, wire.NotFound, "no"},
		{"plain error", func(*dispatch.Conversation, text) error { return errors.New("secret") }, wire.Unknown, wire.Unknown, "the handler failed"},
		{"panic", func(*dispatch.Conversation, text) error { panic("secret") }, wire.Internal, wire.Internal, "the handler failed"},
		{"exit", func(*dispatch.Conversation, text) error { runtime.Goexit(); return nil }, wire.Internal, wire.Internal, "the handler failed"},
		{"end", func(c *dispatch.Conversation, _ text) error { c.End(); return nil }, wire.OK, wire.OK, ""},
		{"fail", func(c *dispatch.Conversation, _ text) error { c.Fail(dispatch.Errorf(wire.DataLoss, "x")); return nil }, wire.DataLoss, wire.DataLoss, "x"},
		{"fail without reason", func(c *dispatch.Conversation, _ text) error { c.Fail(nil); return nil }, wire.OK, wire.OK, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := pair(t)
			ka, kb := newTalk(), newTalk()
			kb.hook = tc.hook
			accept(t, b, kb, nil)
			c := open(t, a, b, ka)
			must(t, c.Send(say("go")))
			<-c.Done()
			here, there := <-kb.ends, <-ka.ends
			wantCode(t, here, tc.here, false)
			wantCode(t, there, tc.there, tc.there != wire.OK)
			var said *dispatch.PeerError
			if errors.As(there, &said) && said.Message != tc.text {
				t.Errorf("the peer is told %q", said.Message)
			}
			wantNothingHeld(t, a, b)
		})
	}
}

func TestTenThousandLivesLeaveNothing(t *testing.T) { // A1
	a, b := pair(t)
	kb := &talk{ends: make(chan error, 20_000)}
	accept(t, b, kb, func(c *dispatch.Conversation, _ text) error { return c.Send(say("welcome")) })
	const n = 10_000
	done := make(chan error, n)
	turn := make(chan struct{}, 500)
	b10 := behavior(t)
	for range n {
		turn <- struct{}{}
		go func() {
			k := newTalk()
			k.hook = func(c *dispatch.Conversation, m text) error { c.End(); return nil }
			c, err := dispatch.Open(t.Context(), a.Dispatcher, b.id, say("begin"), k, b10)
			if err == nil {
				<-c.Done()
				err = c.Err()
			}
			<-turn
			done <- err
		}()
	}
	for range n {
		must(t, <-done)
	}
	for range n {
		if err := <-kb.ends; err != nil {
			t.Fatal(err)
		}
	}
	wantNothingHeld(t, a, b)
	for _, s := range []side{a, b} {
		if st := s.Stats(); len(st.Dropped) != 0 && fmt.Sprint(st.Dropped) != "" {
			for reason := range st.Dropped {
				if reason != "crossed-end" {
					t.Errorf("dropped %v", st.Dropped)
				}
			}
		}
	}
}
