package memory_test

import (
	"context"
	"fmt"
	"net/netip"

	"parley/peer"
	"parley/socket"
	"parley/socket/memory"
)

// Two hosts in one process talk over a network of their own.
func Example() {
	network := memory.NewNetwork()
	host := func() *socket.Host {
		key, err := peer.GenerateKey()
		if err != nil {
			panic(err)
		}
		conn, err := network.Listen(netip.AddrPort{})
		if err != nil {
			panic(err)
		}
		h, err := socket.Listen(socket.Config{Key: key, PacketConn: conn})
		if err != nil {
			panic(err)
		}
		return h
	}
	alice, bob := host(), host()
	defer alice.Close()
	defer bob.Close()

	got := make(chan string)
	bob.Attach(
		func(id peer.ID, session, remote uint64) {},
		func(from peer.ID, session uint64, block []byte) { got <- string(block) },
		func(id peer.ID, session uint64, cause error) {},
	)
	ctx := context.Background()
	session, err := alice.Dial(ctx, bob.LocalID(), bob.Addr().String())
	if err != nil {
		panic(err)
	}
	if err := session.Send(ctx, 0, []byte("hello")); err != nil {
		panic(err)
	}
	fmt.Println(bob.Addr(), "got", <-got)
	// Output: [2001:db8:2::1]:4000 got hello
}
