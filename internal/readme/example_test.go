package readme

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/dispatch"
	"parley/peer"
	"parley/socket"
)

// must and check keep the example short; a program handles the error.
func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// The README shows what follows.

func Example() {
	ctx := context.Background()
	bob := must(socket.Listen(socket.Config{Key: must(peer.GenerateKey()), Listen: "127.0.0.1:0"}))
	defer bob.Close()
	alice := must(socket.Listen(socket.Config{Key: must(peer.GenerateKey()), Listen: "127.0.0.1:0"}))
	defer alice.Close()

	// Bob greets whoever sends a StringValue; any generated protobuf message would do.
	greet := func(_ context.Context, name *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return wrapperspb.String("Hello, " + name.GetValue()), nil
	}
	check(dispatch.Handle(must(dispatch.New(bob, dispatch.Config{})), greet))

	// Alice dials Bob's key. If another key answers at that address, Dial fails.
	asking := must(dispatch.New(alice, dispatch.Config{}))
	must(alice.Dial(ctx, bob.LocalID(), bob.Addr().String()))
	reply := must(dispatch.Ask[*wrapperspb.StringValue](ctx, asking, bob.LocalID(), wrapperspb.String("Alice")))
	fmt.Println(reply.GetValue())
	// Output: Hello, Alice
}

// The README shows what precedes.
