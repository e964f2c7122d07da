package dispatch_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

func TestRequestInConversation(t *testing.T) { // DI5, D4: the reply handler sees the state
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
		// So is one whose case does not reply: nobody waits in vain.
		must(t, dispatch.Request(t.Context(), c, say("x"), then))
		if s := <-got; s != "0 Unimplemented" {
			t.Error(s)
		}
		// State of another type.
		wantCode(t, dispatch.Do(c, func(int, *dispatch.Conversation) error { t.Error("called"); return nil }), wire.InvalidArgument, false)
		wantCode(t, dispatch.Request(t.Context(), c, num(1), func(int, *dispatch.Conversation, number, error) error {
			t.Error("called")
			return nil
		}), wire.InvalidArgument, false)
		c.End()
		<-c.Done()
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
