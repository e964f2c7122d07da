package dispatch_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

// More requests at once than the other side takes wait for their turn: each is
// answered, none is refused or forgotten.
func TestAsksWaitForASlot(t *testing.T) { // DI12
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		most, running := 0, 0
		var mu sync.Mutex
		count := func(by int) {
			mu.Lock()
			defer mu.Unlock()
			running += by
			most = max(most, running)
		}
		must(t, dispatch.Handle(b.Dispatcher, func(context.Context, text) (number, error) {
			count(1)
			defer count(-1)
			<-time.After(time.Second)
			return num(1), nil
		}))
		const n = 3*dispatch.MaxConcurrentAsks + 1
		errs := make(chan error, n)
		for range n {
			go func() {
				_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
				errs <- err
			}()
		}
		for range n {
			must(t, <-errs)
		}
		if most != dispatch.MaxConcurrentAsks {
			t.Errorf("%d ran at once", most)
		}
		if st := b.Stats(); len(st.Dropped) != 0 {
			t.Errorf("dropped: %v", st.Dropped)
		}
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

// occupy uses up what a may ask of b.
func occupy(t *testing.T, a, b side) (cancel func()) {
	t.Helper()
	must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, _ text) (number, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	for range dispatch.MaxConcurrentAsks {
		go func() { _, _ = dispatch.Ask[number](ctx, a.Dispatcher, b.id, say("x")) }()
	}
	synctest.Wait()
	return cancel
}

func TestWaitingForASlotEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(a, b side)
		code wire.Code
	}{
		"its time runs out": {func(_, _ side) {}, wire.DeadlineExceeded},
		"the session ends":  {func(a, b side) { dispatchtest.Disconnect(a.end, b.end, dispatchtest.ErrDown) }, wire.Unavailable},
		"Close":             {func(a, _ side) { _ = a.Close(context.Background()) }, wire.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := pair(t)
				defer occupy(t, a, b)()
				errs := make(chan error, 2)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				go func() {
					_, err := dispatch.Ask[number](ctx, a.Dispatcher, b.id, say("x"))
					errs <- err
				}()
				go func() {
					for _, err := range dispatch.AskMany[number](ctx, a.Dispatcher, b.id, say("x")) {
						errs <- err
					}
				}()
				synctest.Wait()
				if n := a.Stats().Pending; n != dispatch.MaxConcurrentAsks {
					t.Errorf("%d are under way", n)
				}
				tc.end(a, b)
				wantCode(t, <-errs, tc.code, false)
				wantCode(t, <-errs, tc.code, false)
			})
		})
	}
}

// The statuses of a whole window of refused requests find room, however slow the
// transport is.
func TestEachRefusalIsTold(t *testing.T) { // DI12
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		let := make(chan struct{})
		b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { <-let; return dispatchtest.Deliver })
		errs := make(chan error, dispatch.MaxConcurrentAsks)
		for range dispatch.MaxConcurrentAsks {
			go func() {
				_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("nobody handles it"))
				errs <- err
			}()
		}
		synctest.Wait()
		close(let)
		for range dispatch.MaxConcurrentAsks {
			wantCode(t, <-errs, wire.Unimplemented, true)
		}
	})
}
