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

func TestSessionEndsAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		cause := make(chan error, 1)
		must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, m text) (number, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return nil, ctx.Err()
		}))
		result := make(chan error, 1)
		go func() {
			_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
			result <- err
		}()
		synctest.Wait()
		gone := errors.New("cable cut")
		dispatchtest.Disconnect(a.end, b.end, gone)
		err := <-result
		wantCode(t, err, wire.Unavailable, false)
		if !errors.Is(err, gone) {
			t.Errorf("%v does not say why", err)
		}
		if err := <-cause; !errors.Is(err, gone) {
			t.Errorf("the handler's cause: %v", err)
		}
		_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
		wantCode(t, err, wire.Unavailable, false)
		// A fresh session begins with fresh numbers.
		dispatchtest.Connect(a.end, b.end)
		must(t, dispatch.Handle(b.Dispatcher, func(context.Context, number) (number, error) { return num(1), nil }))
		_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, num(1))
		must(t, err)
	})
}
