package dispatch_test

import (
	"context"
	"testing"

	"parley/dispatch"
	"parley/wire"
)

// A message that no block can hold is refused before anything is sent, and nothing
// else suffers.
func TestTooLarge(t *testing.T) { // BL4
	a, b := pair(t)
	huge := blobOf(wire.DefaultMaxBlock)
	must(t, dispatch.Handle(b.Dispatcher, func(_ context.Context, m number) (blob, error) { return blobOf(int(m.GetValue())), nil }))
	kb := newTalk()
	accept(t, b, kb, nil)

	_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, huge)
	wantCode(t, err, wire.ResourceExhausted, false)
	wantCode(t, dispatch.Notify(t.Context(), a.Dispatcher, b.id, huge), wire.ResourceExhausted, false)
	_, err = dispatch.Open(t.Context(), a.Dispatcher, b.id, huge, newTalk(), behavior(t))
	wantCode(t, err, wire.ResourceExhausted, false)
	_, err = dispatch.Ask[blob](t.Context(), a.Dispatcher, b.id, num(wire.DefaultMaxBlock))
	wantCode(t, err, wire.ResourceExhausted, true)

	c := open(t, a, b, newTalk())
	for range 3 { // it costs no credit either
		wantCode(t, c.Send(huge), wire.ResourceExhausted, false)
	}
	must(t, c.Send(say("small")))
	c.End()
	if err := <-kb.ends; err != nil || kb.said() != "begin small" {
		t.Errorf("%v, heard %q", err, kb.said())
	}
	<-c.Done()
	wantNothingHeld(t, a, b)
}
