package dispatch_test

import (
	"testing"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

func TestBadPayloads(t *testing.T) {
	a, b := pair(t, dispatch.Config{}, dispatch.Config{RefuseUnknownFields: true})
	lenient := newSide(t, dispatchtest.New(dispatchtest.ID(3)), dispatch.Config{})
	dispatchtest.Connect(a.end, lenient.end)
	for _, s := range []side{b, lenient} {
		must(t, dispatch.Handle(s.Dispatcher, length))
	}
	// The payload of the request is replaced on its way.
	replace := func(payload []byte) {
		a.end.Intercept(func(blk dispatchtest.Block) dispatchtest.Action {
			h, _, err := blk.Header()
			must(t, err)
			blk2, err := h.Append(nil, len(payload))
			must(t, err)
			to := b
			if blk.To == lenient.id {
				to = lenient
			}
			must(t, to.end.Inject(a.id, blk.Lane, append(blk2, payload...)))
			return dispatchtest.Drop
		})
	}
	replace([]byte{0xff})
	_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
	wantCode(t, err, wire.InvalidArgument, true)
	replace([]byte{0x0a, 1, 'x', 0x10, 1}) // field 1 "x", field 2 unknown
	_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
	wantCode(t, err, wire.InvalidArgument, true)
	if n := b.Stats().Dropped["bad-payload"]; n != 2 {
		t.Errorf("counted %d", n)
	}
	_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, lenient.id, say("x"))
	must(t, err)
	must(t, b.end.Inject(a.id, 0, []byte{0xff}))
	if n := b.Stats().Dropped["bad-header"]; n != 1 {
		t.Errorf("counted %d", n)
	}
}
