package dispatch_test

import (
	"context"
	"testing"

	"parley/dispatch"
	"parley/wire"
)

// A message that is not there is refused where it is given, not taken for an empty
// one.
func TestNoMessage(t *testing.T) {
	a, b := pair(t)
	must(t, dispatch.Handle(b.Dispatcher, func(context.Context, text) (number, error) { return nil, nil }))
	must(t, dispatch.HandleMany(b.Dispatcher, func(_ context.Context, _ number, reply func(number) error) error { return reply(nil) }))
	kb := newTalk()
	must(t, dispatch.Converse(b.Dispatcher, func(c *dispatch.Conversation, _ blob) (*talk, error) { return kb, nil },
		dispatch.MustBehavior(
			dispatch.On((*talk).line),
			dispatch.OnRequest(func(*talk, *dispatch.Conversation, number) (number, error) { return nil, nil }))))

	_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, text(nil))
	wantCode(t, err, wire.InvalidArgument, false)
	wantCode(t, dispatch.Notify(t.Context(), a.Dispatcher, b.id, text(nil)), wire.InvalidArgument, false)
	_, err = dispatch.Open(t.Context(), a.Dispatcher, b.id, text(nil), newTalk(), behavior(t))
	wantCode(t, err, wire.InvalidArgument, false)

	_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
	wantCode(t, err, wire.Internal, true)
	for _, err := range dispatch.AskMany[number](t.Context(), a.Dispatcher, b.id, num(1)) {
		wantCode(t, err, wire.Internal, true)
	}

	c, err := dispatch.Open(t.Context(), a.Dispatcher, b.id, blobOf(1), newTalk(), behavior(t))
	must(t, err)
	wantCode(t, c.Send(text(nil)), wire.InvalidArgument, false)
	got := make(chan error, 1)
	must(t, dispatch.Request(t.Context(), c, num(1), func(_ *talk, _ *dispatch.Conversation, _ number, err error) error {
		got <- err
		return nil
	}))
	wantCode(t, <-got, wire.Internal, true)
	c.End()
}

func TestMustBehaviorPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	dispatch.MustBehavior(dispatch.OnEnd[*talk](nil))
}
