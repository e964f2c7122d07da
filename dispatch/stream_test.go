package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"parley/dispatch"
	"parley/wire"
)

func TestManyReplies(t *testing.T) { // DI3, D3
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		stopped := make(chan error, 1)
		must(t, dispatch.HandleMany(b.Dispatcher, func(ctx context.Context, m number, reply func(number) error) error {
			for i := range m.GetValue() {
				if err := reply(num(i)); err != nil {
					stopped <- context.Cause(ctx)
					return err
				}
			}
			if m.GetValue() == 13 {
				return dispatch.Errorf(wire.OutOfRange, "unlucky")
			}
			if m.GetValue() == 14 {
				<-ctx.Done()
				stopped <- context.Cause(ctx)
			}
			return nil
		}))
		collect := func(n int64) (sum int64, last error) {
			for m, err := range dispatch.AskMany[number](t.Context(), a.Dispatcher, b.id, num(n)) {
				if err != nil {
					return sum, err
				}
				sum += m.GetValue()
			}
			return sum, nil
		}
		for n, want := range map[int64]int64{0: 0, 1: 0, 10: 45} {
			if sum, err := collect(n); err != nil || sum != want {
				t.Errorf("%d: %d, %v", n, sum, err)
			}
		}
		sum, err := collect(13)
		wantCode(t, err, wire.OutOfRange, true)
		if sum != 78 {
			t.Errorf("before the error: %d", sum)
		}
		// Leaving the loop tells the other side.
		for range dispatch.AskMany[number](t.Context(), a.Dispatcher, b.id, num(14)) {
			break
		}
		if err := <-stopped; !errors.Is(err, &dispatch.PeerError{Code: wire.Canceled}) {
			t.Errorf("%v", err)
		}
		// Ask takes the first.
		first, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, num(3))
		must(t, err)
		if first.GetValue() != 0 {
			t.Errorf("first: %v", first)
		}
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestUnreadRepliesAreBounded(t *testing.T) { // CR6
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		must(t, dispatch.HandleMany(b.Dispatcher, func(ctx context.Context, m number, reply func(blob) error) error {
			for ctx.Err() == nil {
				if err := reply(blobOf(1 << 10)); err != nil {
					return err
				}
			}
			return nil
		}))
		n := 0
		var last error
		for m, err := range dispatch.AskMany[blob](t.Context(), a.Dispatcher, b.id, num(1)) {
			if n == 0 {
				synctest.Wait() // the reader fell behind
			}
			if n++; err != nil {
				last = err
				break
			}
			_ = m
		}
		wantCode(t, last, wire.ResourceExhausted, false)
		if n < 100 || n > 2*dispatch.Window/1024 { // what was read at first, and a window
			t.Errorf("%d replies were kept", n)
		}
	})
}
