package simnet

import "net/netip"

// path is the way through the core from one host to another, by the hosts' own addresses, not their NATs'.
type path struct{ from, to netip.Addr }

// Blackhole begins or ends the silent dropping of everything that host a sends to host b; call it twice for both
// ways. Packets under way are dropped too, if they have not crossed the core. Hosts behind a NAT are meant by
// their inside addresses. It belongs to the addresses: a host that moves leaves it behind.
func (n *Net) Blackhole(a, b netip.Addr, on bool) {
	p := 0.0
	if on {
		p = 1
	}
	n.setLoss(path{a, b}, p)
}

func (n *Net) setLoss(w path, p float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p == 0 {
		delete(n.paths, w)
		return
	}
	n.paths[w] = p
}

// cross decides whether a packet gets through the core. n.mu is held.
func (n *Net) cross(w path) (Fate, bool) {
	switch p := n.paths[w]; {
	case p >= 1:
		return Blackholed, false
	case p > 0 && n.rand.Float64() < p:
		return Lost, false
	}
	return Delivered, true
}

// Move gives a host another address. Its connections stay open, are at the new address at once and send from
// there, as a UDP socket bound to every interface does when its machine changes networks; packets under way to
// the old address become Unrouted. A host behind a NAT stays behind it: the NAT's public address and the
// host's line do not change, but the NAT takes the new address for another host and gives it new mappings.
//
// ErrNoHost if there is none at from, ErrAddrInUse if something is at to already.
func (n *Net) Move(from, to netip.Addr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[from]
	if h == nil {
		return ErrNoHost
	}
	if n.taken(to) {
		return ErrAddrInUse
	}
	delete(n.hosts, from)
	n.hosts[to] = h
	var moving []*Conn
	for a, c := range n.conns {
		if a.Addr() == from {
			moving = append(moving, c)
		}
	}
	for _, c := range moving {
		delete(n.conns, c.local)
		c.local = netip.AddrPortFrom(to, c.local.Port())
		n.conns[c.local] = c
	}
	return nil
}

// taken reports whether a host or a NAT has an address. n.mu is held.
func (n *Net) taken(a netip.Addr) bool { return n.hosts[a] != nil || n.nats[a] != nil }
