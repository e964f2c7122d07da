package simnet

import (
	"net/netip"
	"time"
)

// NATKind is how a NAT maps and filters, in the terms of RFC 4787.
type NATKind int

// The kinds. EIM maps an inside address to one port for all destinations, APDM to one per destination;
// EIF lets anyone in through a mapping, ADF only addresses sent to, APDF only address-and-ports sent to.
const (
	FullCone          NATKind = iota // EIM, EIF
	AddressRestricted                // EIM, ADF
	PortRestricted                   // EIM, APDF: the usual home router
	Symmetric                        // APDM, APDF
)

// NAT is a network address translator with one public address. Its methods are safe for concurrent use.
type NAT struct {
	net     *Net
	kind    NATKind
	public  netip.Addr
	timeout time.Duration
	next    uint16
	byInner map[natKey]*mapping
	byPort  map[uint16]*mapping
}

type natKey struct{ inner, outer netip.AddrPort } // outer is set by symmetric NATs only

type mapping struct {
	key  natKey
	port uint16
	last time.Time
	to   map[netip.AddrPort]bool
	toIP map[netip.Addr]bool
}

// firstNATPort is where a NAT begins to number its outside ports.
const firstNATPort = 40_000

// AddNAT adds a NAT whose mappings are forgotten after being idle for timeout.
func (n *Net) AddNAT(public netip.Addr, kind NATKind, timeout time.Duration) *NAT {
	n.mu.Lock()
	defer n.mu.Unlock()
	x := &NAT{net: n, kind: kind, public: public, timeout: timeout, next: firstNATPort}
	x.forget()
	n.nats[public] = x
	return x
}

func (x *NAT) forget() {
	x.byInner, x.byPort = map[natKey]*mapping{}, map[uint16]*mapping{}
}

// Rebind forgets every mapping, as a NAT does that reboots or runs out of memory: the next packet of each
// flow leaves from another port, and what comes to the old ports is filtered.
func (x *NAT) Rebind() {
	x.net.mu.Lock()
	defer x.net.mu.Unlock()
	x.forget()
}

// SetPublic gives the NAT another public address, as a provider does at night. Mappings keep their ports, and
// packets for the old address are unrouted. ErrAddrInUse if another NAT or a host has the address.
func (x *NAT) SetPublic(public netip.Addr) error {
	x.net.mu.Lock()
	defer x.net.mu.Unlock()
	if x.net.taken(public) {
		return ErrAddrInUse
	}
	delete(x.net.nats, x.public)
	x.public = public
	x.net.nats[public] = x
	return nil
}

// outbound translates the source of a packet on its way out; false if every port is mapped. net.mu is held.
func (x *NAT) outbound(src, dst netip.AddrPort) (netip.AddrPort, bool) {
	k := natKey{inner: src}
	if x.kind == Symmetric {
		k.outer = dst
	}
	now := time.Now()
	m := x.byInner[k]
	if m != nil && now.Sub(m.last) > x.timeout {
		delete(x.byPort, m.port)
		m = nil
	}
	if m == nil {
		port, ok := x.freePort(now)
		if !ok {
			return netip.AddrPort{}, false
		}
		m = &mapping{key: k, port: port, to: map[netip.AddrPort]bool{}, toIP: map[netip.Addr]bool{}}
		x.byInner[k] = m
		x.byPort[m.port] = m
	}
	m.last = now
	m.to[dst], m.toIP[dst.Addr()] = true, true
	return netip.AddrPortFrom(x.public, m.port), true
}

// freePort takes the ports in turn, so that one just given up is the last to be given out again.
func (x *NAT) freePort(now time.Time) (uint16, bool) {
	for range 1<<16 - firstNATPort {
		x.next++
		if x.next < firstNATPort { // it wrapped
			x.next = firstNATPort
		}
		m := x.byPort[x.next]
		if m == nil {
			return x.next, true
		}
		if now.Sub(m.last) > x.timeout {
			delete(x.byInner, m.key)
			return x.next, true
		}
	}
	return 0, false
}

// inbound translates the destination of a packet on its way in, or filters it. net.mu is held.
func (x *NAT) inbound(src netip.AddrPort, port uint16) (netip.AddrPort, bool) {
	m := x.byPort[port]
	if m == nil || time.Since(m.last) > x.timeout {
		return netip.AddrPort{}, false
	}
	switch x.kind {
	case FullCone:
	case AddressRestricted:
		if !m.toIP[src.Addr()] {
			return netip.AddrPort{}, false
		}
	case PortRestricted, Symmetric:
		if !m.to[src] {
			return netip.AddrPort{}, false
		}
	}
	return m.key.inner, true
}
