// Package memory carries packets between hosts of one process (T4): for programs that run several peers, and for
// tests of what is built on Parley. Nothing leaves the process, no port is bound and no permission is needed.
//
//	network := memory.NewNetwork()
//	conn, err := network.Listen(netip.AddrPort{})
//	...
//	host, err := socket.Listen(socket.Config{Key: key, PacketConn: conn})
//
// It behaves as UDP does on an idle loopback interface: at once, in order and without loss, until a receiver falls
// behind and its queue is full. Time is the caller's: real, or virtual in a testing/synctest bubble. To see how a
// protocol takes delay, loss, NATs or moving hosts, a simulated network is the tool; this one has no faults to
// offer.
package memory
