package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

// drained is a conversation with many messages of a's, which b's first handler
// holds up, and their normal end.
func drained(t *testing.T, a, b side, hook func(n int, c *dispatch.Conversation) error) (kb *talk, let chan struct{}) {
	t.Helper()
	kb, let = newTalk(), make(chan struct{})
	accept(t, b, kb, nil)
	n := 0
	kb.hook = func(c *dispatch.Conversation, _ text) error {
		if n++; n == 1 {
			<-let
		}
		return hook(n, c)
	}
	c := open(t, a, b, newTalk())
	for i := range 500 {
		must(t, c.Send(say(fmt.Sprint(i))))
	}
	c.End()
	synctest.Wait()
	return kb, let
}

// What the peer sent before its normal end is handled, whatever becomes of the
// session after it.
func TestNormalEndOutlivesTheSession(t *testing.T) { // DI9
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		var bad []error
		kb, let := drained(t, a, b, func(_ int, c *dispatch.Conversation) error {
			if err := c.Context().Err(); err != nil {
				bad = append(bad, err)
			}
			if err := c.Send(say("late")); dispatch.CodeOf(err) != wire.Aborted {
				bad = append(bad, fmt.Errorf("sent: %w", err))
			}
			return nil
		})
		shut(t, a.Dispatcher)
		dispatchtest.Disconnect(a.end, b.end, errors.New("bye"))
		synctest.Wait()
		close(let)
		if err := <-kb.ends; err != nil {
			t.Errorf("OnEnd is told %v", err)
		}
		if n := len(kb.heard) - 1; n != 500 {
			t.Errorf("%d of 500 were handled", n)
		}
		if len(bad) > 0 {
			t.Errorf("%d times, such as %v", len(bad), bad[0])
		}
		if st := b.Stats(); st.Conversations != 0 || len(st.Dropped) != 0 {
			t.Errorf("left: %+v", st)
		}
	})
}

// Nothing is discarded without an error.
func TestDiscardingIsAnError(t *testing.T) {
	for name, tc := range map[string]struct {
		hook func(n int, c *dispatch.Conversation) error
		shut bool
		code wire.Code
	}{
		"the dispatcher closes": {shut: true, code: wire.Unavailable},
		"a handler fails": {code: wire.DataLoss, hook: func(n int, _ *dispatch.Conversation) error {
			if n == 10 {
				return dispatch.Errorf(wire.DataLoss, "no")
			}
			return nil
		}},
		"a handler panics": {code: wire.Internal, hook: func(n int, _ *dispatch.Conversation) error {
			if n == 10 {
				panic("ten")
			}
			return nil
		}},
		"Fail": {code: wire.Aborted, hook: func(n int, c *dispatch.Conversation) error {
			if n == 10 {
				c.Fail(dispatch.Errorf(wire.Aborted, "enough"))
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := pair(t)
				if tc.hook == nil {
					tc.hook = func(int, *dispatch.Conversation) error { return nil }
				}
				kb, let := drained(t, a, b, tc.hook)
				dispatchtest.Disconnect(a.end, b.end, errors.New("bye"))
				if tc.shut {
					done := make(chan error, 1)
					go func() { done <- b.Close(context.Background()) }()
					synctest.Wait()
					close(let)
					must(t, <-done)
				} else {
					close(let)
				}
				wantCode(t, <-kb.ends, tc.code, false)
				if n := len(kb.heard); n > 11 {
					t.Errorf("%d were handled", n)
				}
			})
		})
	}
}

// What outlasts sessions is bounded, all of them together.
func TestLeftoversAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, dispatch.Config{}, dispatch.Config{Limits: dispatch.Limits{MaxQueuedBytes: 150_000}})
		kb, in, let := newTalk(), make(chan struct{}, 20), make(chan struct{})
		accept(t, b, kb, func(*dispatch.Conversation, text) error { in <- struct{}{}; <-let; return nil })
		codes := make(map[wire.Code]int)
		const n = 10
		for range n {
			c := open(t, a, b, newTalk())
			for range 50 { // 50 kB
				must(t, c.Send(kilo()))
			}
			c.End()
			<-in
			synctest.Wait()
			dispatchtest.Connect(a.end, b.end)
		}
		close(let)
		for range n {
			codes[dispatch.CodeOf(<-kb.ends)]++
		}
		if codes[wire.OK] != 2 || codes[wire.ResourceExhausted] != n-2 {
			t.Errorf("%v", codes)
		}
		// Then there is room again.
		synctest.Wait()
		c := open(t, a, b, newTalk())
		must(t, c.Send(kilo()))
		c.End()
		synctest.Wait()
		dispatchtest.Connect(a.end, b.end)
		if err := <-kb.ends; err != nil {
			t.Error(err)
		}
	})
}

// An end of this side's own is normal, and discards what has not been handled: that
// is what it is for.
func TestOwnEndDiscards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		kb, let := drained(t, a, b, func(n int, c *dispatch.Conversation) error {
			c.End()
			return nil
		})
		close(let)
		if err := <-kb.ends; err != nil || len(kb.heard) != 2 {
			t.Errorf("%v after %d", err, len(kb.heard))
		}
	})
}

// Close returns when the ends of conversations have been handed to the transport.
func TestCloseFlushesEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		kb := newTalk()
		accept(t, b, kb, nil)
		full, ends := make(chan struct{}), 0
		c := open(t, a, b, newTalk())
		synctest.Wait()
		a.end.Intercept(func(blk dispatchtest.Block) dispatchtest.Action {
			if h, _, _ := blk.Header(); h.Flags&wire.FlagLast != 0 {
				<-full
				ends++
			}
			return dispatchtest.Deliver
		})
		c.End()
		closed := make(chan error, 1)
		go func() { closed <- a.Close(context.Background()) }()
		synctest.Wait()
		if len(closed) > 0 {
			t.Error("Close returned before the end was sent")
		}
		close(full)
		must(t, <-closed)
		if err := <-kb.ends; ends != 1 || err != nil {
			t.Errorf("%d ends, %v", ends, err)
		}
	})
}
