package simnet

import (
	"net/netip"
	"time"
)

// Packet is what a trace sees of one packet at one of its fates.
type Packet struct {
	Time     time.Time
	From, To netip.AddrPort // as they are at that place: NATs change them
	Size     int
	Payload  []byte // the packet itself; valid during the call, not to be changed
	Fate     Fate
}

// Fate says what became of a packet.
type Fate string

// The fates. Each packet has Sent once, and each of its copies Duplicated; every one of these ends in one of the
// others, so that once nothing is under way Sent + Duplicated is the sum of the rest.
const (
	Sent       Fate = "sent"       // given to the network
	Duplicated Fate = "duplicated" // a second copy made by a link
	Delivered  Fate = "delivered"  // put into the inbox of a Conn
	Lost       Fate = "lost"       // dropped by a link, or by a burst of loss on a path
	Blackholed Fate = "blackholed" // dropped between two hosts
	Filtered   Fate = "filtered"   // dropped by a NAT
	Unrouted   Fate = "unrouted"   // no such host, or nobody listens there
	Overflowed Fate = "overflowed" // the inbox was full
)

// Trace has f see every packet at each of its fates; nil ends it. f is called with the network locked: it must not
// call back.
func (n *Net) Trace(f func(Packet)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.trace = f
}

// Count is how many packets have met a fate since the network was made.
func (n *Net) Count(f Fate) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fates[f]
}

// saw counts and traces a fate. n.mu is held.
func (n *Net) saw(from, to netip.AddrPort, b []byte, fate Fate) {
	n.fates[fate]++
	if n.trace != nil {
		n.trace(Packet{Time: time.Now(), From: from, To: to, Size: len(b), Payload: b, Fate: fate})
	}
}
