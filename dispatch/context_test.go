package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

func TestDeadlines(t *testing.T) { // D10, C14
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, dispatch.Config{AskTimeout: 7 * time.Second})
		a.end.Intercept(func(blk dispatchtest.Block) dispatchtest.Action {
			if h, _, _ := blk.Header(); h.Flags&wire.FlagError != 0 {
				return dispatchtest.Drop // the handler is to know without being told
			}
			return dispatchtest.Deliver
		})
		ended := make(chan time.Duration, 1)
		start := time.Now()
		must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, m text) (number, error) {
			<-ctx.Done()
			ended <- time.Since(start)
			return nil, ctx.Err()
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := dispatch.Ask[number](ctx, a.Dispatcher, b.id, say("x"))
		// Both ends' clocks strike at once: either may be first to say so.
		if dispatch.CodeOf(err) != wire.DeadlineExceeded {
			t.Errorf("%v", err)
		}
		if d := <-ended; d != 3*time.Second {
			t.Errorf("the handler's context ended after %v", d)
		}
		start = time.Now()
		_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
		if dispatch.CodeOf(err) != wire.DeadlineExceeded {
			t.Errorf("%v", err)
		}
		if d := <-ended; d != 7*time.Second {
			t.Errorf("by default it ended after %v", d)
		}
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

// When the asker's time runs out, the handler's context has run out too, whoever is
// first to notice.
func TestDeadlineIsNoCancel(t *testing.T) { // DI9
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		const n = 200
		errs, causes := make(chan error, n), make(chan error, n)
		must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, m number) (number, error) {
			if m.GetValue()%2 == 0 {
				<-ctx.Done()
			} else {
				<-time.After(time.Second) // it looks only now
			}
			errs <- ctx.Err()
			causes <- context.Cause(ctx)
			return nil, ctx.Err()
		}))
		b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Drop })
		for i := range int64(n) {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := dispatch.Ask[number](ctx, a.Dispatcher, b.id, num(i))
				if dispatch.CodeOf(err) != wire.DeadlineExceeded {
					t.Errorf("asking: %v", err)
				}
			}()
		}
		for range n {
			if err := <-errs; !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("the handler's context ends with %v", err)
			}
			if err := <-causes; !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("because of %v", err)
			}
		}
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestCancelReachesTheHandler(t *testing.T) { // DI9, D10
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		begun, cause := make(chan struct{}), make(chan error, 1)
		var answers int
		b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { answers++; return dispatchtest.Deliver })
		must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, m text) (number, error) {
			close(begun)
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return nil, ctx.Err()
		}))
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-begun
			cancel()
		}()
		_, err := dispatch.Ask[number](ctx, a.Dispatcher, b.id, say("x"))
		wantCode(t, err, wire.Canceled, false)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v is not context.Canceled", err)
		}
		if err := <-cause; !errors.Is(err, &dispatch.PeerError{Code: wire.Canceled, Peer: a.id}) {
			t.Errorf("cause: %v", err)
		}
		synctest.Wait()
		if answers != 0 {
			t.Errorf("%d answers to who gave up", answers)
		}
		wantNothingHeld(t, a, b)
	})
}
