package dispatch_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

func TestRefusedBegins(t *testing.T) {
	a, b := pair(t)
	var k *talk
	refuse := func(s text) *dispatch.Conversation {
		k = newTalk()
		c, err := dispatch.Open(t.Context(), a.Dispatcher, b.id, s, k, behavior(t))
		must(t, err)
		<-c.Done()
		return c
	}
	wantCode(t, refuse(say("unknown")).Err(), wire.Unimplemented, true)
	accept(t, b, newTalk(), func(_ *dispatch.Conversation, first text) error {
		if first.GetValue() == "panic" {
			panic("in begin")
		}
		return dispatch.Errorf(wire.PermissionDenied, "not you")
	})
	wantCode(t, refuse(say("x")).Err(), wire.PermissionDenied, true)
	wantCode(t, <-k.ends, wire.PermissionDenied, true)
	wantCode(t, refuse(say("panic")).Err(), wire.Internal, true)
	wantNothingHeld(t, a, b)
}

// A type is either a request or begins conversations, and who takes it for the other
// is told at once.
func TestWrongExchange(t *testing.T) { // DI2
	a, b := pair(t)
	must(t, dispatch.Handle(b.Dispatcher, func(context.Context, number) (number, error) { return num(1), nil }))
	must(t, dispatch.HandleOneWay(b.Dispatcher, func(context.Context, flag) {}))
	accept(t, b, newTalk(), nil)
	for _, first := range []proto.Message{num(1), wrapperspb.Bool(true)} {
		k := newTalk()
		c, err := dispatch.Open(t.Context(), a.Dispatcher, b.id, first, k, behavior(t))
		must(t, err)
		<-c.Done()
		wantCode(t, c.Err(), wire.Unimplemented, true)
		wantCode(t, <-k.ends, wire.Unimplemented, true)
	}
	_, err := dispatch.Ask[text](t.Context(), a.Dispatcher, b.id, say("hello"))
	wantCode(t, err, wire.Unimplemented, true)
	must(t, dispatch.Notify(t.Context(), a.Dispatcher, b.id, say("hello")))
	if n := b.Stats().Dropped["wrong-exchange"]; n != 4 || b.Stats().Conversations != 0 {
		t.Errorf("counted %d, %+v", n, b.Stats())
	}
	wantNothingHeld(t, a, b)
}

func TestChildren(t *testing.T) { // A2, D18
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, dispatch.Config{Limits: dispatch.Limits{MaxDepth: 2}})
		c := newSide(t, dispatchtest.New(dispatchtest.ID(3)), dispatch.Config{})
		dispatchtest.Connect(a.end, c.end)
		accept(t, b, newTalk(), nil)
		kc := newTalk()
		accept(t, c, kc, nil)
		kp, k1, k2 := newTalk(), newTalk(), newTalk()
		parent := open(t, a, b, kp)
		var first, second *dispatch.Conversation
		must(t, dispatch.Do(parent, func(_ *talk, p *dispatch.Conversation) (err error) {
			if first, err = dispatch.OpenChild(t.Context(), p, b.id, say("child"), k1, behavior(t)); err != nil {
				return err
			}
			second, err = dispatch.OpenChild(t.Context(), p, c.id, say("child"), k2, behavior(t))
			return err
		}))
		synctest.Wait()
		// A child's end is told to its parent.
		must(t, dispatch.Do(first, func(*talk, *dispatch.Conversation) error { return dispatch.Errorf(wire.DataLoss, "x") }))
		wantCode(t, <-kp.kids, wire.DataLoss, false)
		wantCode(t, <-k1.ends, wire.DataLoss, false)
		// Not deeper than MaxDepth.
		var depth []wire.Code
		grand := make(chan *dispatch.Conversation, 1)
		must(t, dispatch.Do(second, func(_ *talk, p *dispatch.Conversation) error {
			g, err := dispatch.OpenChild(t.Context(), p, b.id, say("grandchild"), newTalk(), behavior(t))
			depth = append(depth, dispatch.CodeOf(err))
			grand <- g
			return nil
		}))
		g := <-grand
		must(t, dispatch.Do(g, func(_ *talk, p *dispatch.Conversation) error {
			_, err := dispatch.OpenChild(t.Context(), p, b.id, say("too deep"), newTalk(), behavior(t))
			depth = append(depth, dispatch.CodeOf(err))
			return nil
		}))
		synctest.Wait()
		if fmt.Sprint(depth) != "[OK ResourceExhausted]" {
			t.Error(depth)
		}
		// Children end with their parent, and before it.
		parent.End()
		<-parent.Done()
		select {
		case <-second.Done():
		default:
			t.Error("the parent was done before its child")
		}
		wantCode(t, <-k2.ends, wire.Canceled, false)
		wantCode(t, <-kc.ends, wire.Canceled, true)
		if len(kp.kids) != 0 {
			t.Error("the parent is told of children that it ended itself")
		}
		_, err := dispatch.OpenChild(t.Context(), parent, b.id, say("x"), newTalk(), behavior(t))
		wantCode(t, err, wire.FailedPrecondition, false)
		synctest.Wait()
		wantNothingHeld(t, a, b, c)
	})
}

func TestConversationLimit(t *testing.T) { // T13
	a, b := pair(t, dispatch.Config{}, dispatch.Config{Limits: dispatch.Limits{MaxConversations: 2}})
	accept(t, b, newTalk(), nil)
	first := open(t, a, b, newTalk())
	open(t, a, b, newTalk())
	third := open(t, a, b, newTalk())
	<-third.Done()
	wantCode(t, third.Err(), wire.ResourceExhausted, true)
	first.End()
	<-first.Done()
	for b.Stats().Conversations > 1 {
		runtime.Gosched()
	}
	open(t, a, b, newTalk()).End()
	c, d := pair(t, dispatch.Config{Limits: dispatch.Limits{MaxConversations: 1}})
	accept(t, d, newTalk(), nil)
	open(t, c, d, newTalk())
	_, err := dispatch.Open(t.Context(), c.Dispatcher, d.id, say("x"), newTalk(), behavior(t))
	wantCode(t, err, wire.ResourceExhausted, false)
}

func TestOpenFails(t *testing.T) {
	a, b := pair(t)
	k := newTalk()
	_, err := dispatch.Open(t.Context(), a.Dispatcher, dispatchtest.ID(9), say("x"), k, behavior(t))
	wantCode(t, err, wire.Unavailable, false)
	_, err = dispatch.Open(t.Context(), a.Dispatcher, b.id, nil, k, behavior(t))
	wantCode(t, err, wire.InvalidArgument, false)
	_, err = dispatch.Open[*talk](t.Context(), a.Dispatcher, b.id, say("x"), k, nil)
	wantCode(t, err, wire.InvalidArgument, false)
	_, err = dispatch.Open(t.Context(), a.Dispatcher, b.id, say("\xff"), k, behavior(t))
	wantCode(t, err, wire.InvalidArgument, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = dispatch.Open(ctx, a.Dispatcher, b.id, say("x"), k, behavior(t))
	wantCode(t, err, wire.Canceled, false)
	wantNothingHeld(t, a, b)
	if len(k.ends) != 0 {
		t.Error("OnEnd of a conversation that never was")
	}
}
