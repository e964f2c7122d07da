package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/peer"
	"parley/wire"
)

// An error says once what was being done, with whom, and why.
func TestErrorTexts(t *testing.T) {
	a, b := pair(t)
	accept(t, b, newTalk(), nil)
	ask := func(to peer.ID) error {
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, to, say("x"))
		return err
	}
	_, open := dispatch.Open(t.Context(), a.Dispatcher, b.id, text(nil), newTalk(), behavior(t))
	_, zero := dispatch.Open(t.Context(), a.Dispatcher, peer.ID{}, say("x"), newTalk(), behavior(t))
	c := openTalk(t, a, b)
	c.Fail(fmt.Errorf("outer: %w", dispatch.Errorf(wire.NotFound, "no such room")))
	<-c.Done()
	d := openTalk(t, a, b)
	pending := make(chan error, 1)
	e, f := pair(t)
	in := make(chan struct{})
	must(t, dispatch.Handle(f.Dispatcher, func(ctx context.Context, _ text) (number, error) {
		close(in)
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	go func() {
		_, err := dispatch.Ask[number](t.Context(), e.Dispatcher, f.id, say("x"))
		pending <- err
	}()
	<-in
	dispatchtest.Disconnect(e.end, f.end, errors.New("parley: connection: cable cut"))
	dispatchtest.Disconnect(a.end, b.end, errors.New("cable cut"))
	<-d.Done()

	to := b.id.Short()
	for got, want := range map[error]string{
		ask(peer.ID{}): "dispatch: ask: InvalidArgument: no peer id is given",
		ask(a.id):      "dispatch: ask " + a.id.Short() + ": InvalidArgument: that is this side's own peer id",
		ask(b.id):      "dispatch: ask " + to + ": Unavailable: no session with that peer",
		<-pending:      "dispatch: ask " + f.id.Short() + ": Unavailable: connection: cable cut",
		open:           "dispatch: open " + to + ": InvalidArgument: no message",
		zero:           "dispatch: open: InvalidArgument: no peer id is given",
		dispatch.Notify(t.Context(), a.Dispatcher, b.id, nil): "dispatch: notify " + to + ": Unavailable: no session with that peer",
		c.Err():          "dispatch: conversation " + to + ": NotFound: outer: no such room",
		c.Send(say("x")): "dispatch: send " + to + ": Aborted: conversation: NotFound: outer: no such room",
		d.Err():          "dispatch: conversation " + to + ": Unavailable: cable cut",
		dispatch.Do(d, func(*talk, *dispatch.Conversation) error { return nil }): "dispatch: do " + to + ": Aborted: conversation: Unavailable: cable cut",
	} {
		if got == nil || got.Error() != want {
			t.Errorf("got  %v\nwant %s", got, want)
		}
	}
}

func openTalk(t *testing.T, a, b side) *dispatch.Conversation { return open(t, a, b, newTalk()) }

func TestPanicLogNamesThePeer(t *testing.T) { // A3
	var log strings.Builder
	a, b := pair(t, dispatch.Config{}, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	kb := newTalk()
	kb.hook = func(*dispatch.Conversation, text) error { panic("boom") }
	accept(t, b, kb, nil)
	c := open(t, a, b, newTalk())
	must(t, c.Send(say("x")))
	<-c.Done()
	shut(t, b.Dispatcher)
	for _, want := range []string{"google.protobuf.StringValue", a.id.Short(), "boom"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, log.String())
		}
	}
}
