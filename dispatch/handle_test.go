package dispatch_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/peer"
	"parley/wire"
)

func TestNotify(t *testing.T) { // D2
	a, b := pair(t)
	got := make(chan string, 4)
	must(t, dispatch.HandleOneWay(b.Dispatcher, func(ctx context.Context, m text) { got <- m.GetValue() }))
	must(t, dispatch.Handle(b.Dispatcher, func(context.Context, number) (number, error) { got <- "request"; return num(0), nil }))
	sent := 0
	b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { sent++; return dispatchtest.Deliver })
	bestEffort := false
	a.end.Intercept(func(blk dispatchtest.Block) dispatchtest.Action {
		bestEffort = blk.BestEffort
		return dispatchtest.Deliver
	})
	must(t, dispatch.Notify(t.Context(), a.Dispatcher, b.id, say("reliable")))
	if s := <-got; s != "reliable" || bestEffort {
		t.Errorf("%q, best effort %v", s, bestEffort)
	}
	must(t, dispatch.NotifyBestEffort(t.Context(), a.Dispatcher, b.id, say("maybe")))
	if s := <-got; s != "maybe" || !bestEffort {
		t.Errorf("%q, best effort %v", s, bestEffort)
	}
	must(t, dispatch.Notify(t.Context(), a.Dispatcher, b.id, num(1)))
	<-got
	must(t, dispatch.Notify(t.Context(), a.Dispatcher, b.id, &wrapperspb.BoolValue{})) // nobody handles it
	if n := b.Stats().Dropped["unknown-type"]; n != 1 {
		t.Errorf("counted %d", n)
	}
	shut(t, b.Dispatcher)
	if sent != 0 {
		t.Errorf("%d blocks answered one-way messages", sent)
	}
	wantNothingHeld(t, a, b)
}

func TestServices(t *testing.T) { // DI6, D7
	a, b := pair(t)
	must(t, dispatch.HandleService(b.Dispatcher, 7, length))
	must(t, dispatch.HandleService(b.Dispatcher, 8, func(context.Context, text) (number, error) { return num(8), nil }))
	for number7, want := range map[uint32]int64{7: 5, 8: 8} {
		n, err := dispatch.AskService[number](t.Context(), a.Dispatcher, b.id, number7, say("hello"))
		must(t, err)
		if n.GetValue() != want {
			t.Errorf("service %d: %v", number7, n)
		}
	}
	_, err := dispatch.AskService[number](t.Context(), a.Dispatcher, b.id, 9, say("hello"))
	wantCode(t, err, wire.Unimplemented, true)
	_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("hello"))
	wantCode(t, err, wire.Unimplemented, true)
	_, err = dispatch.AskService[number](t.Context(), a.Dispatcher, b.id, 0, say("hello"))
	wantCode(t, err, wire.InvalidArgument, false)
}

func TestRegistration(t *testing.T) { // D9
	a, _ := pair(t)
	must(t, dispatch.Handle(a.Dispatcher, length))
	var taken *dispatch.RegistrationError
	if err := dispatch.Handle(a.Dispatcher, length); !errors.As(err, &taken) {
		t.Errorf("twice: %v", err)
	}
	if err := dispatch.HandleOneWay(a.Dispatcher, func(context.Context, text) {}); !errors.As(err, &taken) {
		t.Errorf("as another kind: %v", err)
	}
	must(t, dispatch.HandleService(a.Dispatcher, 1, length))
	if err := dispatch.HandleService(a.Dispatcher, 1, length); !errors.As(err, &taken) || taken.Service != 1 {
		t.Errorf("in a service: %v", err)
	}
	for what, err := range map[string]error{
		"no function":         dispatch.Handle[text, number](a.Dispatcher, nil),
		"no service function": dispatch.HandleService[text, number](a.Dispatcher, 2, nil),
		"no one-way function": dispatch.HandleOneWay[text](a.Dispatcher, nil),
		"no many function":    dispatch.HandleMany[text, number](a.Dispatcher, nil),
		"service zero":        dispatch.HandleService(a.Dispatcher, 0, length),
		"no concrete request": dispatch.Handle(a.Dispatcher, func(context.Context, proto.Message) (number, error) { return nil, nil }),
		"no concrete reply":   dispatch.Handle(a.Dispatcher, func(context.Context, blob) (proto.Message, error) { return nil, nil }),
	} {
		if err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	if _, err := dispatch.New(nil, dispatch.Config{}); err == nil {
		t.Error("no transport is accepted")
	}
	if _, err := dispatch.New(dispatchtest.New(a.id), dispatch.Config{Limits: dispatch.Limits{MaxDepth: -1}}); err == nil {
		t.Error("a negative limit is accepted")
	}
}

// eager is a transport on which a session is up, and a request there, when it is
// attached.
type eager struct {
	*dispatchtest.Endpoint
	from  *dispatchtest.Endpoint
	block []byte
	t     *testing.T
}

func (e eager) Attach(up func(peer.ID, uint64, uint64), block func(peer.ID, uint64, []byte), down func(peer.ID, uint64, error)) {
	e.Endpoint.Attach(up, block, down)
	dispatchtest.Connect(e.from, e.Endpoint)
	must(e.t, e.Inject(e.from.LocalID(), 1, e.block))
}

func TestRegisterBeforeTraffic(t *testing.T) {
	ea, eb := dispatchtest.NewPair()
	newSide(t, ea, dispatch.Config{})
	h := wire.Header{Type: wire.TypeOf("google.protobuf.StringValue"), Flags: wire.FlagOneWay}
	block, err := h.Append(nil, 0)
	must(t, err)
	got := make(chan struct{})
	d, err := dispatch.New(eager{eb, ea, block, t}, dispatch.Config{Register: func(d *dispatch.Dispatcher) error {
		return dispatch.HandleOneWay(d, func(context.Context, text) { close(got) })
	}})
	must(t, err)
	<-got
	shut(t, d)

	no := errors.New("no")
	if _, err := dispatch.New(eb, dispatch.Config{Register: func(*dispatch.Dispatcher) error { return no }}); !errors.Is(err, no) {
		t.Errorf("%v", err)
	}
}
