package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

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
