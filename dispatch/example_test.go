package dispatch_test

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

// connect joins two dispatchers in memory, as a host would over a network.
func connect() (alice, bob *dispatch.Dispatcher) {
	a, b := dispatchtest.NewPair()
	alice, err := dispatch.New(a, dispatch.Config{})
	if err != nil {
		panic(err)
	}
	bob, err = dispatch.New(b, dispatch.Config{})
	if err != nil {
		panic(err)
	}
	dispatchtest.Connect(a, b)
	return alice, bob
}

func Example() {
	ctx := context.Background()
	alice, bob := connect()
	defer alice.Close(ctx)
	defer bob.Close(ctx)

	// Bob answers questions.
	err := dispatch.Handle(bob, func(_ context.Context, name *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		if name.GetValue() == "" {
			return nil, dispatch.Errorf(wire.InvalidArgument, "whom should I greet?")
		}
		return wrapperspb.String("hello, " + name.GetValue()), nil
	})
	if err != nil {
		panic(err)
	}

	// Alice asks.
	reply, err := dispatch.Ask[*wrapperspb.StringValue](ctx, alice, bob.LocalID(), wrapperspb.String("Alice"))
	fmt.Println(reply.GetValue(), err)

	_, err = dispatch.Ask[*wrapperspb.StringValue](ctx, alice, bob.LocalID(), wrapperspb.String(""))
	fmt.Println(dispatch.CodeOf(err))
	// Output:
	// hello, Alice <nil>
	// InvalidArgument
}

// tally is Bob's end of a conversation: it adds up what Alice sends.
type tally struct{ sum int64 }

func (t *tally) add(_ *dispatch.Conversation, n *wrapperspb.Int64Value) error {
	t.sum += n.GetValue()
	return nil
}

func (t *tally) total(_ *dispatch.Conversation, _ *wrapperspb.BoolValue) (*wrapperspb.Int64Value, error) {
	return wrapperspb.Int64(t.sum), nil
}

// customer is Alice's end.
type customer struct{ bill []string }

func (a *customer) welcome(_ *dispatch.Conversation, m *wrapperspb.StringValue) error {
	a.bill = append(a.bill, m.GetValue())
	return nil
}

func (a *customer) end(_ *dispatch.Conversation, err error) {
	fmt.Println(strings.Join(a.bill, "; "), err)
}

// What each end does with what it hears.
var (
	shop = dispatch.MustBehavior(
		dispatch.On((*tally).add),
		dispatch.OnRequest((*tally).total),
	)
	visit = dispatch.MustBehavior(
		dispatch.On((*customer).welcome),
		dispatch.OnEnd((*customer).end),
	)
)

func ExampleConverse() {
	ctx := context.Background()
	alice, bob := connect()
	defer alice.Close(ctx)
	defer bob.Close(ctx)

	// A text begins a conversation with Bob, which has a tally for its state.
	err := dispatch.Converse(bob, func(c *dispatch.Conversation, hello *wrapperspb.StringValue) (*tally, error) {
		return &tally{}, c.Send(wrapperspb.String("welcome, " + hello.GetValue()))
	}, shop)
	if err != nil {
		panic(err)
	}

	// Alice begins one.
	c, err := dispatch.Open(ctx, alice, bob.LocalID(), wrapperspb.String("Alice"), &customer{}, visit)
	if err != nil {
		panic(err)
	}
	for n := range int64(4) {
		if err := c.Send(wrapperspb.Int64(n + 1)); err != nil {
			panic(err)
		}
	}

	// The reply comes with Alice's state, and ends the conversation.
	err = dispatch.Request(ctx, c, wrapperspb.Bool(true),
		func(a *customer, c *dispatch.Conversation, total *wrapperspb.Int64Value, err error) error {
			a.bill = append(a.bill, fmt.Sprint("total ", total.GetValue()))
			c.End()
			return err
		})
	if err != nil {
		panic(err)
	}
	<-c.Done()
	// Output:
	// welcome, Alice; total 10 <nil>
}

func ExampleAskMany() {
	ctx := context.Background()
	alice, bob := connect()
	defer alice.Close(ctx)
	defer bob.Close(ctx)

	err := dispatch.HandleMany(bob, func(_ context.Context, n *wrapperspb.Int64Value, reply func(*wrapperspb.Int64Value) error) error {
		for i := range n.GetValue() {
			if err := reply(wrapperspb.Int64(i * i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		panic(err)
	}

	for square, err := range dispatch.AskMany[*wrapperspb.Int64Value](ctx, alice, bob.LocalID(), wrapperspb.Int64(4)) {
		fmt.Println(square.GetValue(), err)
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 4 <nil>
	// 9 <nil>
}
