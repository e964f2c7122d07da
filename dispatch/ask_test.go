package dispatch_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

func length(_ context.Context, m text) (number, error) { return num(int64(len(m.GetValue()))), nil }

func TestAsk(t *testing.T) { // D10
	a, b := pair(t)
	must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, m text) (number, error) {
		info, ok := dispatch.InfoOf(ctx)
		if dispatch.PeerOf(ctx) != a.id || !ok || info.Peer() != a.id {
			t.Errorf("PeerOf = %v, info %+v", dispatch.PeerOf(ctx), info)
		}
		if info.SendTime.IsZero() || time.Since(info.ReceiveTime) < 0 { // B12
			t.Errorf("times: %+v", info)
		}
		return length(ctx, m)
	}))
	n, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("hello"))
	must(t, err)
	if n.GetValue() != 5 {
		t.Errorf("got %v", n)
	}
	wantNothingHeld(t, a, b)
}

func TestAskBothWaysAtOnce(t *testing.T) { // DI1, D6: both use the same numbers
	a, b := pair(t)
	for _, s := range []side{a, b} {
		must(t, dispatch.Handle(s.Dispatcher, length))
	}
	errs := make(chan error)
	const n = 200
	for i := range n {
		from, to := a, b
		if i%2 == 1 {
			from, to = b, a
		}
		go func() {
			got, err := dispatch.Ask[number](t.Context(), from.Dispatcher, to.id, say(strings.Repeat("x", i)))
			if err == nil && got.GetValue() != int64(i) {
				err = fmt.Errorf("got %v for %d", got, i)
			}
			errs <- err
		}()
	}
	for range n {
		must(t, <-errs)
	}
	wantNothingHeld(t, a, b)
}

func TestLateReplyIsDropped(t *testing.T) { // D3
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		must(t, dispatch.Handle(b.Dispatcher, length))
		b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := dispatch.Ask[number](ctx, a.Dispatcher, b.id, say("x"))
		wantCode(t, err, wire.DeadlineExceeded, false)
		synctest.Wait()
		b.end.Release(nil)
		if n := a.Stats().Dropped["no-request"]; n != 1 {
			t.Errorf("counted %d", n)
		}
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestRepliesDeliveredTwiceCountOnce(t *testing.T) { // T11
	a, b := pair(t)
	must(t, dispatch.Handle(b.Dispatcher, length))
	b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Twice })
	for i := range 50 {
		n, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say(strings.Repeat("x", i)))
		must(t, err)
		if n.GetValue() != int64(i) {
			t.Fatalf("got the reply %v for %d", n, i)
		}
	}
}

func TestLargeMessages(t *testing.T) {
	a, b := pair(t)
	must(t, dispatch.Handle(b.Dispatcher, func(_ context.Context, m blob) (blob, error) { return m, nil }))
	m, err := dispatch.Ask[blob](t.Context(), a.Dispatcher, b.id, blobOf(3<<20))
	must(t, err)
	if len(m.GetValue()) != 3<<20 {
		t.Errorf("%d bytes came back", len(m.GetValue()))
	}
}
