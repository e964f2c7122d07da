package dispatch_test

import (
	"context"
	"testing"
	"testing/synctest"

	"parley/dispatch"
	"parley/wire"
)

func TestCloseEndsAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, m text) (number, error) {
			<-ctx.Done()
			return nil, dispatch.Errorf(wire.Aborted, "closing")
		}))
		results := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
				results <- err
			}()
		}
		synctest.Wait()
		shut(t, b.Dispatcher) // its handlers end and still answer
		wantCode(t, <-results, wire.Aborted, true)
		wantCode(t, <-results, wire.Aborted, true)
		go func() {
			b.end.Intercept(nil)
			_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
			results <- err
		}()
		synctest.Wait() // b is closed and says nothing
		shut(t, a.Dispatcher)
		wantCode(t, <-results, wire.Unavailable, false)
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
		wantCode(t, err, wire.Unavailable, false)
		if err := dispatch.Handle(a.Dispatcher, length); dispatch.CodeOf(err) != wire.Unavailable {
			t.Errorf("Handle after Close: %v", err)
		}
	})
}
