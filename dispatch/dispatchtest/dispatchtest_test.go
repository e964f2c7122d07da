package dispatchtest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/peer"
)

var _ dispatch.Transport = (*dispatchtest.Endpoint)(nil)

// ear notes what an endpoint is told.
type ear struct {
	notes   []string
	session uint64
}

func attach(e *dispatchtest.Endpoint) *ear {
	r := &ear{}
	e.Attach(
		func(_ peer.ID, s, _ uint64) { r.notes, r.session = append(r.notes, "up"), s },
		func(_ peer.ID, _ uint64, b []byte) { r.notes = append(r.notes, string(b)) },
		func(_ peer.ID, _ uint64, cause error) { r.notes = append(r.notes, fmt.Sprint("down: ", cause)) },
	)
	return r
}

func TestEndpoint(t *testing.T) {
	a, b := dispatchtest.NewPair()
	ra, rb := attach(a), attach(b)
	ctx := t.Context()
	if err := a.Send(ctx, b.LocalID(), 0, 1, []byte("early")); !errors.Is(err, dispatchtest.ErrDown) {
		t.Errorf("without a session: %v", err)
	}
	dispatchtest.Connect(a, b)
	if ra.session == 0 || ra.session == rb.session {
		t.Errorf("sessions %d and %d", ra.session, rb.session)
	}
	say := func(s string) {
		t.Helper()
		if err := a.Send(ctx, b.LocalID(), ra.session, 1, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	say("one")
	if err := a.Send(ctx, b.LocalID(), ra.session+1, 1, nil); !errors.Is(err, dispatchtest.ErrDown) {
		t.Errorf("another session: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := a.Send(ended, b.LocalID(), 0, 1, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	a.Intercept(func(blk dispatchtest.Block) dispatchtest.Action {
		switch blk.Bytes[0] {
		case 'd':
			return dispatchtest.Drop
		case 't':
			return dispatchtest.Twice
		case 'h':
			return dispatchtest.Hold
		}
		return dispatchtest.Deliver
	})
	say("drop")
	say("twice")
	say("h1")
	say("h2")
	say("h3")
	if n := a.Release(func(held []dispatchtest.Block) []int { return []int{2, 0} }); n != 2 || a.Held() != 1 {
		t.Errorf("%d released, %d held", n, a.Held())
	}
	a.Release(nil)
	if err := a.SendBestEffort(ctx, b.LocalID(), 0, 1, []byte("best")); err != nil {
		t.Error(err)
	}
	if err := b.Inject(a.LocalID(), 1, []byte("injected")); err != nil {
		t.Error(err)
	}
	say("h4")
	old := ra.session
	dispatchtest.Connect(a, b)
	if ra.session == old {
		t.Error("the session keeps its name")
	}
	if n := a.Release(nil); n != 0 {
		t.Error("a block crosses to another session")
	}
	dispatchtest.Disconnect(a, b, errors.New("cut"))
	dispatchtest.Disconnect(a, b, errors.New("cut"))
	want := "up, one, " + "twice, " + "twice, h3, h1, h2, best, injected, down: dispatchtest: replaced, up, down: cut"
	if got := strings.Join(rb.notes, ", "); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	if a.LocalID() != dispatchtest.ID(1) || a.LocalID() == dispatchtest.ID(2) {
		t.Error("IDs are not fixed")
	}
}
