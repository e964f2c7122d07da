package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

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

func TestConversation(t *testing.T) { // D4, D5, A1
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

func TestRefusedBegins(t *testing.T) {
	a, b := pair(t)
	var k *talk
	refuse := func(s text) *dispatch.Conversation {
		k = newTalk()
		c, err := dispatch.Open(t.Context(), a.Dispatcher, b.id, s, k, behavior(t))
		must(t, err)
		<-c.Done()
		return c
	}
	wantCode(t, refuse(say("unknown")).Err(), wire.Unimplemented, true)
	accept(t, b, newTalk(), func(_ *dispatch.Conversation, first text) error {
		if first.GetValue() == "panic" {
			panic("in begin")
		}
		return dispatch.Errorf(wire.PermissionDenied, "not you")
	})
	wantCode(t, refuse(say("x")).Err(), wire.PermissionDenied, true)
	wantCode(t, <-k.ends, wire.PermissionDenied, true)
	wantCode(t, refuse(say("panic")).Err(), wire.Internal, true)
	wantNothingHeld(t, a, b)
}

func TestPanicEndsOneConversation(t *testing.T) { // A3, T36, R23
	var log strings.Builder
	a, b := pair(t, dispatch.Config{}, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	k := newTalk()
	k.hook = func(c *dispatch.Conversation, m text) error {
		if m.GetValue() == "boom" {
			panic("boom")
		}
		return c.Send(m)
	}
	must(t, dispatch.Converse(b.Dispatcher, func(c *dispatch.Conversation, first text) (*talk, error) {
		return &talk{hook: k.hook, ends: make(chan error, 1), kids: k.kids}, nil
	}, behavior(t)))
	const n = 1000
	var ended atomic.Int32
	talks := make([]*talk, n)
	all := make([]*dispatch.Conversation, n)
	for i := range n {
		talks[i] = newTalk()
		talks[i].hook = func(c *dispatch.Conversation, m text) error {
			ended.Add(1)
			c.End()
			return nil
		}
		all[i] = open(t, a, b, talks[i])
	}
	for i, c := range all {
		m := say("echo")
		if i == 500 {
			m = say("boom")
		}
		must(t, c.Send(m))
	}
	for i, c := range all {
		<-c.Done()
		if i == 500 {
			wantCode(t, c.Err(), wire.Internal, true)
		} else if c.Err() != nil {
			t.Fatalf("conversation %d: %v", i, c.Err())
		}
	}
	if ended.Load() != n-1 {
		t.Errorf("%d finished", ended.Load())
	}
	wantNothingHeld(t, a, b)
	shut(t, b.Dispatcher)
	if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "conversation_test.go") {
		t.Errorf("the log lacks the panic or its stack")
	}
}

func TestOneMessageAtATime(t *testing.T) { // D8
	a, b := pair(t)
	var inside, most atomic.Int32
	var at atomic.Int32
	k := newTalk()
	k.hook = func(_ *dispatch.Conversation, m text) error {
		if inside.Add(1) > 1 {
			most.Store(2)
		}
		if m.GetValue() != fmt.Sprint(at.Add(1)) {
			t.Errorf("%q out of order", m.GetValue())
		}
		runtime.Gosched()
		inside.Add(-1)
		return nil
	}
	accept(t, b, k, nil)
	c := open(t, a, b, newTalk())
	for i := range 2000 {
		must(t, c.Send(say(fmt.Sprint(i+1))))
	}
	c.End() // what was sent before still arrives
	if err := <-k.ends; err != nil || at.Load() != 2000 || most.Load() != 0 {
		t.Errorf("%v, %d handled, two at once: %v", err, at.Load(), most.Load() != 0)
	}
	wantNothingHeld(t, a, b)
}

func TestConversationsRunInParallel(t *testing.T) { // D8: more than there are processors
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		const n = 50
		together := make(chan struct{}, n)
		release := make(chan struct{})
		accept(t, b, newTalk(), func(c *dispatch.Conversation, _ text) error {
			together <- struct{}{}
			<-release
			c.End()
			return nil
		})
		for range n {
			open(t, a, b, newTalk())
		}
		for range n {
			<-together
		}
		close(release)
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestRequestInConversation(t *testing.T) { // D4: the reply handler sees the state
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		ka, kb := newTalk(), newTalk()
		accept(t, b, kb, nil)
		c := open(t, a, b, ka)
		got := make(chan string, 1)
		then := func(k *talk, c2 *dispatch.Conversation, m number, err error) error {
			if k != ka || c2 != c {
				t.Error("another conversation's state")
			}
			got <- fmt.Sprint(m.GetValue(), " ", dispatch.CodeOf(err))
			return nil
		}
		must(t, dispatch.Request(t.Context(), c, num(21), then))
		if s := <-got; s != "42 OK" {
			t.Error(s)
		}
		// An error of OnRequest is the answer, and not the end.
		must(t, dispatch.Request(t.Context(), c, num(-1), then))
		if s := <-got; s != "0 OutOfRange" {
			t.Error(s)
		}
		// So is a type without a case.
		must(t, dispatch.Request(t.Context(), c, blobOf(1), then))
		if s := <-got; s != "0 Unimplemented" {
			t.Error(s)
		}
		// The reply of another type.
		must(t, dispatch.Request(t.Context(), c, num(1), func(_ *talk, _ *dispatch.Conversation, _ flag, err error) error {
			got <- fmt.Sprint(dispatch.CodeOf(err))
			return nil
		}))
		if s := <-got; s != "Internal" {
			t.Error(s)
		}
		// A context that ends first, and a reply that comes too late.
		b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		must(t, dispatch.Request(ctx, c, num(1), then))
		if s := <-got; s != "0 DeadlineExceeded" {
			t.Error(s)
		}
		b.end.Intercept(nil)
		b.end.Release(nil)
		synctest.Wait()
		if len(got) != 0 {
			t.Error("called twice")
		}
		// State of another type.
		wrong := dispatch.Do(c, func(int, *dispatch.Conversation) error { t.Error("called"); return nil })
		must(t, wrong)
		<-c.Done()
		wantCode(t, c.Err(), wire.Unknown, false)
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		kb := newTalk()
		kb.hook = func(c *dispatch.Conversation, m text) error {
			must(t, c.Reply(num(int64(len(m.GetValue())))))
			wantCode(t, c.Reply(num(0)), wire.FailedPrecondition, false)
			if c.Info().Peer() != a.id || c.Info().ID.Seq == 0 || c.Info().SendTime.IsZero() {
				t.Errorf("info %+v", c.Info())
			}
			return nil
		}
		accept(t, b, kb, nil)
		c := open(t, a, b, newTalk())
		got := make(chan int64, 1)
		must(t, dispatch.Request(t.Context(), c, say("four"), func(_ *talk, _ *dispatch.Conversation, m number, err error) error {
			got <- m.GetValue()
			return err
		}))
		if n := <-got; n != 4 {
			t.Errorf("got %d", n)
		}
		outside := make(chan error, 1)
		must(t, dispatch.Do(c, func(_ *talk, c *dispatch.Conversation) error {
			outside <- c.Reply(num(0))
			return nil
		}))
		wantCode(t, <-outside, wire.FailedPrecondition, false)
		c.End()
	})
}

func TestUnexpectedMessagesEndTheConversation(t *testing.T) {
	a, b := pair(t)
	accept(t, b, newTalk(), nil)
	c := open(t, a, b, newTalk())
	must(t, c.Send(blobOf(1)))
	<-c.Done()
	wantCode(t, c.Err(), wire.Unimplemented, true)
	if n := b.Stats().Dropped["unexpected"]; n != 1 {
		t.Errorf("counted %d", n)
	}
	wantNothingHeld(t, a, b)
}

func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, dispatch.Config{Limits: dispatch.Limits{MaxPosted: 2}})
		accept(t, b, newTalk(), nil)
		k := newTalk()
		c := open(t, a, b, k)
		in, let, n := make(chan struct{}), make(chan struct{}), 0
		work := func(got *talk, c2 *dispatch.Conversation) error {
			if got != k || c2 != c {
				t.Error("another state")
			}
			n++
			return nil
		}
		must(t, dispatch.Do(c, func(*talk, *dispatch.Conversation) error { close(in); <-let; return nil }))
		<-in
		must(t, dispatch.Do(c, work))
		must(t, dispatch.Do(c, work))
		wantCode(t, dispatch.Do(c, work), wire.ResourceExhausted, false)
		close(let)
		synctest.Wait()
		if n != 2 {
			t.Errorf("%d ran", n)
		}
		must(t, dispatch.Do(c, func(*talk, *dispatch.Conversation) error { return dispatch.Errorf(wire.Aborted, "enough") }))
		<-c.Done()
		wantCode(t, c.Err(), wire.Aborted, false)
	})
}

func TestChildren(t *testing.T) { // A2, D18
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, dispatch.Config{Limits: dispatch.Limits{MaxDepth: 2}})
		c := newSide(t, dispatchtest.New(dispatchtest.ID(3)), dispatch.Config{})
		dispatchtest.Connect(a.end, c.end)
		accept(t, b, newTalk(), nil)
		kc := newTalk()
		accept(t, c, kc, nil)
		kp, k1, k2 := newTalk(), newTalk(), newTalk()
		parent := open(t, a, b, kp)
		var first, second *dispatch.Conversation
		must(t, dispatch.Do(parent, func(_ *talk, p *dispatch.Conversation) (err error) {
			if first, err = dispatch.OpenChild(t.Context(), p, b.id, say("child"), k1, behavior(t)); err != nil {
				return err
			}
			second, err = dispatch.OpenChild(t.Context(), p, c.id, say("child"), k2, behavior(t))
			return err
		}))
		synctest.Wait()
		// A child's end is told to its parent.
		must(t, dispatch.Do(first, func(*talk, *dispatch.Conversation) error { return dispatch.Errorf(wire.DataLoss, "x") }))
		wantCode(t, <-kp.kids, wire.DataLoss, false)
		wantCode(t, <-k1.ends, wire.DataLoss, false)
		// Not deeper than MaxDepth.
		var depth []wire.Code
		grand := make(chan *dispatch.Conversation, 1)
		must(t, dispatch.Do(second, func(_ *talk, p *dispatch.Conversation) error {
			g, err := dispatch.OpenChild(t.Context(), p, b.id, say("grandchild"), newTalk(), behavior(t))
			depth = append(depth, dispatch.CodeOf(err))
			grand <- g
			return nil
		}))
		g := <-grand
		must(t, dispatch.Do(g, func(_ *talk, p *dispatch.Conversation) error {
			_, err := dispatch.OpenChild(t.Context(), p, b.id, say("too deep"), newTalk(), behavior(t))
			depth = append(depth, dispatch.CodeOf(err))
			return nil
		}))
		synctest.Wait()
		if fmt.Sprint(depth) != "[OK ResourceExhausted]" {
			t.Error(depth)
		}
		// Children end with their parent, and before it.
		parent.End()
		<-parent.Done()
		select {
		case <-second.Done():
		default:
			t.Error("the parent was done before its child")
		}
		wantCode(t, <-k2.ends, wire.Canceled, false)
		wantCode(t, <-kc.ends, wire.Canceled, true)
		if len(kp.kids) != 0 {
			t.Error("the parent is told of children that it ended itself")
		}
		_, err := dispatch.OpenChild(t.Context(), parent, b.id, say("x"), newTalk(), behavior(t))
		wantCode(t, err, wire.FailedPrecondition, false)
		synctest.Wait()
		wantNothingHeld(t, a, b, c)
	})
}

func TestSessionEndsConversations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		ka, kb := newTalk(), newTalk()
		in, out := make(chan struct{}), make(chan error, 1)
		accept(t, b, kb, func(c *dispatch.Conversation, _ text) error {
			close(in)
			<-c.Context().Done() // a handler that waits learns of it at once
			out <- context.Cause(c.Context())
			return nil
		})
		c := open(t, a, b, ka)
		<-in
		gone := errors.New("cable cut")
		dispatchtest.Disconnect(a.end, b.end, gone)
		<-c.Done()
		wantCode(t, c.Err(), wire.Unavailable, false)
		if err := <-ka.ends; !errors.Is(err, gone) {
			t.Errorf("%v does not say why", err)
		}
		if err := <-out; !errors.Is(err, gone) {
			t.Errorf("%v does not say why", err)
		}
		wantCode(t, <-kb.ends, wire.Unavailable, false)
		wantCode(t, c.Send(say("x")), wire.Aborted, false)
		synctest.Wait()
		dispatchtest.Connect(a.end, b.end) // to see the numbers of the sessions that are there
		wantNothingHeld(t, a, b)
	})
}

func TestCloseEndsConversations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		ka, kb := newTalk(), newTalk()
		accept(t, b, kb, nil)
		c := open(t, a, b, ka)
		synctest.Wait()
		shut(t, b.Dispatcher)
		<-c.Done()
		wantCode(t, <-kb.ends, wire.Unavailable, false)
		wantCode(t, <-ka.ends, wire.Unavailable, true)
	})
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

func TestConversationLimit(t *testing.T) { // T13
	a, b := pair(t, dispatch.Config{}, dispatch.Config{Limits: dispatch.Limits{MaxConversations: 2}})
	accept(t, b, newTalk(), nil)
	first := open(t, a, b, newTalk())
	open(t, a, b, newTalk())
	third := open(t, a, b, newTalk())
	<-third.Done()
	wantCode(t, third.Err(), wire.ResourceExhausted, true)
	first.End()
	<-first.Done()
	for b.Stats().Conversations > 1 {
		runtime.Gosched()
	}
	open(t, a, b, newTalk()).End()
	c, d := pair(t, dispatch.Config{Limits: dispatch.Limits{MaxConversations: 1}})
	accept(t, d, newTalk(), nil)
	open(t, c, d, newTalk())
	_, err := dispatch.Open(t.Context(), c.Dispatcher, d.id, say("x"), newTalk(), behavior(t))
	wantCode(t, err, wire.ResourceExhausted, false)
}

func TestOpenFails(t *testing.T) {
	a, b := pair(t)
	k := newTalk()
	_, err := dispatch.Open(t.Context(), a.Dispatcher, dispatchtest.ID(9), say("x"), k, behavior(t))
	wantCode(t, err, wire.Unavailable, false)
	_, err = dispatch.Open(t.Context(), a.Dispatcher, b.id, nil, k, behavior(t))
	wantCode(t, err, wire.InvalidArgument, false)
	_, err = dispatch.Open[*talk](t.Context(), a.Dispatcher, b.id, say("x"), k, nil)
	wantCode(t, err, wire.InvalidArgument, false)
	_, err = dispatch.Open(t.Context(), a.Dispatcher, b.id, say("\xff"), k, behavior(t))
	wantCode(t, err, wire.InvalidArgument, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = dispatch.Open(ctx, a.Dispatcher, b.id, say("x"), k, behavior(t))
	wantCode(t, err, wire.Canceled, false)
	wantNothingHeld(t, a, b)
	if len(k.ends) != 0 {
		t.Error("OnEnd of a conversation that never was")
	}
}

func TestBehaviors(t *testing.T) { // D9
	line := dispatch.On((*talk).line)
	for what, cases := range map[string][]dispatch.Case[*talk]{
		"two cases for a type": {line, line},
		"two ends":             {dispatch.OnEnd((*talk).end), dispatch.OnEnd((*talk).end)},
		"two child ends":       {dispatch.OnChildEnd((*talk).childEnd), dispatch.OnChildEnd((*talk).childEnd)},
		"no function":          {dispatch.On[*talk, text](nil)},
		"no request function":  {dispatch.OnRequest[*talk, text, number](nil)},
		"no end function":      {dispatch.OnEnd[*talk](nil)},
		"an empty case":        {{}},
		"no concrete message":  {dispatch.On(func(*talk, *dispatch.Conversation, proto.Message) error { return nil })},
		"no concrete reply":    {dispatch.OnRequest(func(*talk, *dispatch.Conversation, text) (proto.Message, error) { return nil, nil })},
	} {
		if _, err := dispatch.NewBehavior(cases...); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	a, _ := pair(t)
	begin := func(*dispatch.Conversation, text) (*talk, error) { return nil, nil }
	must(t, dispatch.Converse(a.Dispatcher, begin, behavior(t)))
	var taken *dispatch.RegistrationError
	if err := dispatch.Converse(a.Dispatcher, begin, behavior(t)); !errors.As(err, &taken) {
		t.Errorf("twice: %v", err)
	}
	if err := dispatch.Converse[*talk](a.Dispatcher, begin, nil); err == nil {
		t.Error("no behavior is accepted")
	}
}

// A message that overtakes the begin of its conversation is held for it.
func TestEarlyMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		kb := newTalk()
		accept(t, b, kb, nil)
		a.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
		c := open(t, a, b, newTalk())
		must(t, c.Send(say("one")))
		must(t, c.Send(say("two")))
		a.end.Release(func(held []dispatchtest.Block) []int { return []int{1, 2, 0} })
		synctest.Wait()
		if kb.said() != "begin one two" {
			t.Errorf("heard %q", kb.said())
		}
		a.end.Intercept(nil)
		c.End()
		<-kb.ends
		// One whose begin never comes is told so.
		drop := true
		a.end.Intercept(func(dispatchtest.Block) dispatchtest.Action {
			defer func() { drop = false }()
			if drop {
				return dispatchtest.Drop
			}
			return dispatchtest.Deliver
		})
		k := newTalk()
		start := time.Now()
		c = open(t, a, b, k)
		must(t, c.Send(say("lost")))
		wantCode(t, <-k.ends, wire.NotFound, true)
		if d := time.Since(start); d != dispatch.DefaultEarlyWait {
			t.Errorf("after %v", d)
		}
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}
