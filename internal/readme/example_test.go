package readme

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/dispatch"
	"parley/peer"
	"parley/socket"
)

// must keeps the example short; a program handles the error.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The README shows what follows.

// A peer is a key and a socket; nothing else has to be set up.
func start() (*socket.Host, *dispatch.Dispatcher) {
	host := must(socket.Listen(socket.Config{Key: must(peer.GenerateKey()), Listen: "127.0.0.1:0"}))
	return host, must(dispatch.New(host, dispatch.Config{}))
}

func Example() {
	ctx := context.Background()
	alice, a := start()
	bob, b := start()
	// Bob answers every StringValue; any generated protobuf message would do.
	err := dispatch.Handle(b, func(_ context.Context, name *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return wrapperspb.String("Hello, " + name.GetValue()), nil
	})
	// Alice dials Bob's key. If another key answers at that address, Dial fails.
	must(alice.Dial(ctx, bob.LocalID(), bob.Addr().String()))
	reply := must(dispatch.Ask[*wrapperspb.StringValue](ctx, a, bob.LocalID(), wrapperspb.String("Alice")))
	fmt.Println(reply.GetValue(), err)
	// Output: Hello, Alice <nil>
}

// The README shows what precedes.
