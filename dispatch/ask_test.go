package dispatch_test

import (
	"context"
	"testing"

	"parley/dispatch"
	"parley/wire"
)

func TestAsk(t *testing.T) { // D10
	a, b := pair(t)
	must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, m text) (number, error) {
		if dispatch.PeerOf(ctx) != a.id {
			t.Errorf("PeerOf = %v", dispatch.PeerOf(ctx))
		}
		return num(int64(len(m.GetValue()))), nil
	}))
	n, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("hello"))
	must(t, err)
	if n.GetValue() != 5 {
		t.Errorf("got %v", n)
	}
}

func TestAskUnknownType(t *testing.T) { // D2
	a, b := pair(t)
	_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("hello"))
	wantCode(t, err, wire.Unimplemented, true)
}
