package dispatch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

// A message that overtakes the begin of its conversation is held for it.
func TestEarlyMessages(t *testing.T) { // DI11
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
