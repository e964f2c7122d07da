package dispatch_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

// stuck opens a conversation whose other end handles nothing until let is closed.
func stuck(t *testing.T, a, b side) (c *dispatch.Conversation, kb *talk, let chan struct{}) {
	t.Helper()
	let = make(chan struct{})
	kb = newTalk()
	begun := make(chan struct{})
	accept(t, b, kb, func(*dispatch.Conversation, text) error { close(begun); <-let; return nil })
	c = open(t, a, b, newTalk())
	<-begun // one that is ended before has no OnEnd
	return c, kb, let
}

// kilo is a message of 1,024 bytes as they count for credit.
func kilo() text { return say(string(make([]byte, 1024-dispatch.CreditOverhead-3))) }

func TestSendWaitsForCredit(t *testing.T) { // CR1, CR2, CR5
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		c, kb, let := stuck(t, a, b)
		n := 0
		for ; ; n++ {
			if err := c.TrySend(kilo()); errors.Is(err, dispatch.ErrWouldBlock) {
				break
			} else {
				must(t, err)
			}
		}
		if n != dispatch.Window/1024-1 { // the begin has its share
			t.Errorf("%d messages passed", n)
		}
		if q := b.Stats().QueuedBytes; q > dispatch.Window {
			t.Errorf("%d bytes wait", q)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantCode(t, c.SendContext(ctx, kilo()), wire.DeadlineExceeded, false)
		sent := make(chan error, 1)
		go func() { sent <- c.Send(kilo()) }()
		synctest.Wait()
		if len(sent) != 0 {
			t.Error("sent without credit")
		}
		// Others are not held up.
		must(t, dispatch.Handle(b.Dispatcher, func(context.Context, number) (number, error) { return num(1), nil }))
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, num(1))
		must(t, err)
		close(let)
		must(t, <-sent)
		for range 3 * dispatch.Window / 1024 {
			must(t, c.Send(kilo()))
		}
		c.End()
		if err := <-kb.ends; err != nil {
			t.Error(err)
		}
		if got := len(kb.heard); got != n+2+3*dispatch.Window/1024 {
			t.Errorf("%d messages arrived", got)
		}
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestEndWakesWhoWaitsForCredit(t *testing.T) { // CR1, T12: a peer that never grants
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		c, _, let := stuck(t, a, b)
		for c.TrySend(kilo()) == nil {
		}
		sent := make(chan error, 2)
		for range 2 {
			go func() { sent <- c.Send(kilo()) }()
		}
		synctest.Wait()
		c.End()
		wantCode(t, <-sent, wire.Aborted, false)
		wantCode(t, <-sent, wire.Aborted, false)
		close(let)
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestLargerThanTheWindow(t *testing.T) { // CR3
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		kb := newTalk()
		accept(t, b, kb, nil)
		c := open(t, a, b, newTalk())
		for range 20 {
			must(t, c.Send(say(string(make([]byte, 5*dispatch.Window)))))
			must(t, c.Send(kilo()))
		}
		c.End()
		if err := <-kb.ends; err != nil || len(kb.heard) != 41 {
			t.Errorf("%v, %d heard", err, len(kb.heard))
		}
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestOverrunEndsTheConversation(t *testing.T) { // CR4, T12
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		c, kb, let := stuck(t, a, b)
		// A peer that sends on without credit.
		var sample []byte
		a.end.Intercept(func(blk dispatchtest.Block) dispatchtest.Action { sample = blk.Bytes; return dispatchtest.Deliver })
		must(t, c.Send(kilo()))
		for range 2 * dispatch.Window / 1024 {
			must(t, b.end.Inject(a.id, 1, sample))
		}
		<-c.Done()
		wantCode(t, c.Err(), wire.ResourceExhausted, true)
		if n := b.Stats().Dropped["over-credit"]; n != 1 {
			t.Errorf("counted %d", n)
		}
		close(let)
		wantCode(t, <-kb.ends, wire.ResourceExhausted, false)
		if len(kb.heard) != 1 {
			t.Errorf("%d messages were handled after the end", len(kb.heard)-1)
		}
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestFailedSendGivesItsCreditBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		c, _, let := stuck(t, a, b)
		var full atomic.Bool
		full.Store(true)
		a.end.Intercept(func(blk dispatchtest.Block) dispatchtest.Action {
			h, _, err := blk.Header()
			must(t, err)
			if full.Load() && h.Flags&wire.FlagError == 0 { // ends still pass
				return dispatchtest.Refuse
			}
			return dispatchtest.Deliver
		})
		for range 2 * dispatch.Window / 1024 {
			wantCode(t, c.Send(kilo()), wire.Unavailable, false)
		}
		full.Store(false)
		n := 0
		for c.TrySend(kilo()) == nil {
			n++
		}
		if n != dispatch.Window/1024-1 {
			t.Errorf("%d messages passed", n)
		}
		// For a block that is too large for a lane nobody knows: the conversation ends.
		close(let)
		synctest.Wait()
		full.Store(true)
		wantCode(t, c.Send(say(string(make([]byte, wire.MaxLaneBlock)))), wire.Unavailable, false)
		full.Store(false)
		<-c.Done()
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}
