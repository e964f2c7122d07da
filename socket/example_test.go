package socket_test

import (
	"context"
	"fmt"
	"io"

	"parley/peer"
	"parley/socket"
)

// host is a host with a fresh key on a free port of loopback.
func host() *socket.Host {
	key, err := peer.GenerateKey()
	if err != nil {
		panic(err)
	}
	h, err := socket.Listen(socket.Config{Key: key, Listen: "127.0.0.1:0"})
	if err != nil {
		panic(err)
	}
	return h
}

// Blocks are opaque and arrive in order within a lane.
func Example() {
	ctx := context.Background()
	alice, bob := host(), host()
	defer alice.Close()
	defer bob.Close()

	got := make(chan string)
	bob.Attach(
		func(id peer.ID, session, remote uint64) {},
		func(from peer.ID, session uint64, block []byte) { got <- string(block) },
		func(id peer.ID, session uint64, cause error) {},
	)

	session, err := alice.Dial(ctx, bob.LocalID(), bob.Addr().String())
	if err != nil {
		panic(err)
	}
	const lane = 0
	if err := session.Send(ctx, lane, []byte("hello")); err != nil {
		panic(err)
	}
	fmt.Println(<-got)
	// Output: hello
}

// A byte stream is a net.Conn between two keys. The side that accepts finds the session by observing its
// host.
func ExampleSession_OpenStream() {
	ctx := context.Background()
	alice, bob := host(), host()
	defer alice.Close()
	defer bob.Close()

	done := make(chan struct{})
	bob.Observe(func(e socket.Event) {
		if e.Kind != socket.Up {
			return
		}
		go func() { // the observer itself must not block
			defer close(done)
			stream, err := e.Session.AcceptStream(ctx)
			if err != nil {
				panic(err)
			}
			text, err := io.ReadAll(stream)
			fmt.Printf("%s %v\n", text, err)
			_ = stream.Close()
		}()
	})

	session, err := alice.Dial(ctx, bob.LocalID(), bob.Addr().String())
	if err != nil {
		panic(err)
	}
	stream, err := session.OpenStream(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Fprint(stream, "any number of bytes")
	_ = stream.CloseWrite()
	<-done
	// Output: any number of bytes <nil>
}
