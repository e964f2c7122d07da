package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

func TestAskErrors(t *testing.T) {
	a, b := pair(t)
	var log strings.Builder
	c := newSide(t, dispatchtest.New(dispatchtest.ID(3)), dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	dispatchtest.Connect(a.end, c.end)
	must(t, dispatch.Handle(c.Dispatcher, func(_ context.Context, m text) (number, error) {
		switch m.GetValue() {
		case "status":
			return nil, fmt.Errorf("wrapped: %w", dispatch.Errorf(wire.NotFound, "no %s", "unicorn"))
		case "plain":
			return nil, errors.New("password is hunter2")
		case "asked elsewhere":
			return nil, &dispatch.PeerError{Code: wire.PermissionDenied, Message: "secret"}
		case "canceled":
			return nil, context.Canceled
		case "panic":
			panic("secret panic")
		case "exit":
			runtime.Goexit()
		}
		return num(1), nil
	}))
	must(t, dispatch.HandleOneWay(b.Dispatcher, func(context.Context, flag) {}))
	for _, tc := range []struct {
		name, say string
		code      wire.Code
		message   string
	}{
		{"its status", "status", wire.NotFound, "no unicorn"},
		{"a plain error tells nothing", "plain", wire.Unknown, "the handler failed"},
		{"another peer's word is not passed on", "asked elsewhere", wire.Unknown, "the handler failed"},
		{"a context's error", "canceled", wire.Canceled, "canceled"},
		{"a panic (A3)", "panic", wire.Internal, "the handler failed"},
		{"Goexit (A3)", "exit", wire.Internal, "the handler failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, c.id, say(tc.say))
			wantCode(t, err, tc.code, true)
			var said *dispatch.PeerError
			if errors.As(err, &said); said.Message != tc.message || said.Peer != c.id {
				t.Errorf("%+v", said)
			}
		})
	}
	t.Run("the other handlers go on", func(t *testing.T) { // A3
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, c.id, say("x"))
		must(t, err)
		if p := c.Stats().Panics; p != 2 {
			t.Errorf("%d panics", p)
		}
	})
	t.Run("unknown type", func(t *testing.T) { // D2
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("hello"))
		wantCode(t, err, wire.Unimplemented, true)
	})
	t.Run("one-way type", func(t *testing.T) {
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, &wrapperspb.BoolValue{})
		wantCode(t, err, wire.Unimplemented, true)
	})
	t.Run("unknown peer", func(t *testing.T) {
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, dispatchtest.ID(9), say("hello"))
		wantCode(t, err, wire.Unavailable, false)
	})
	t.Run("reply of another type", func(t *testing.T) {
		_, err := dispatch.Ask[flag](t.Context(), a.Dispatcher, c.id, say("x"))
		wantCode(t, err, wire.Internal, false)
	})
	t.Run("no message", func(t *testing.T) {
		_, err := dispatch.Ask[number, proto.Message](t.Context(), a.Dispatcher, c.id, nil)
		wantCode(t, err, wire.InvalidArgument, false)
	})
	t.Run("no concrete reply type", func(t *testing.T) {
		_, err := dispatch.Ask[proto.Message](t.Context(), a.Dispatcher, c.id, say("x"))
		wantCode(t, err, wire.InvalidArgument, false)
	})
	t.Run("text that is not UTF-8", func(t *testing.T) {
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, c.id, say("\xff"))
		wantCode(t, err, wire.InvalidArgument, false)
	})
	shut(t, c.Dispatcher)
	if !strings.Contains(log.String(), "secret panic") || !strings.Contains(log.String(), "request_test.go") || !strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log lacks the panic, its stack or the error: %s", log.String())
	}
	wantNothingHeld(t, a, b)
}

func TestRequestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t,
			dispatch.Config{Limits: dispatch.Limits{MaxPending: 3}},
			dispatch.Config{Limits: dispatch.Limits{MaxRequests: 2}})
		let := make(chan struct{})
		must(t, dispatch.Handle(b.Dispatcher, func(context.Context, text) (number, error) { <-let; return num(1), nil }))
		results := make(chan error, 4)
		for range 4 {
			go func() {
				_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
				results <- err
			}()
			synctest.Wait()
		}
		// Two run, the third is refused and frees its place, so the fourth goes out.
		wantCode(t, <-results, wire.ResourceExhausted, true)
		wantCode(t, <-results, wire.ResourceExhausted, true)
		b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Drop })
		for range 2 { // nobody answers these any more
			go func() {
				_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
				results <- err
			}()
			synctest.Wait()
		}
		wantCode(t, <-results, wire.ResourceExhausted, false) // this side's own limit
		b.end.Intercept(nil)
		close(let)
		must(t, <-results)
		must(t, <-results)
		wantCode(t, <-results, wire.DeadlineExceeded, false)
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}
