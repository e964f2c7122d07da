package main

import (
	"testing"
	"testing/synctest"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/peer"
)

// TestGate: nothing comes before all handlers are registered.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &attachments{Endpoint: dispatchtest.New(dispatchtest.ID(1))}
		g := &gate{Transport: e, room: newRoom(t.Context(), &recorder{}, &book{}, nil)}
		d, err := dispatch.New(g, dispatch.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close(t.Context())
		if e.n != 0 {
			t.Error("the traffic comes at once")
		}
		if g.open(); e.n != 1 {
			t.Error("the traffic does not come")
		}
	})
}

// attachments counts them.
type attachments struct {
	*dispatchtest.Endpoint
	n int
}

func (a *attachments) Attach(up func(peer.ID, uint64, uint64), block func(peer.ID, uint64, []byte), down func(peer.ID, uint64, error)) {
	a.n++
	a.Endpoint.Attach(up, block, down)
}
