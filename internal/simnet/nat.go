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

// Reboot forgets every mapping; new ones get other ports.
func (x *NAT) Reboot() {
	x.net.mu.Lock()
	defer x.net.mu.Unlock()
	x.forget()
	x.next += 1000
}

// Renumber reboots the NAT with another public address.
func (x *NAT) Renumber(public netip.Addr) {
	x.Reboot()
	x.net.mu.Lock()
	defer x.net.mu.Unlock()
	delete(x.net.nats, x.public)
	x.public = public
	x.net.nats[public] = x
}

// outbound translates the source of a packet on its way out. net.mu is held.
func (x *NAT) outbound(src, dst netip.AddrPort) netip.AddrPort {
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
		x.next++
		m = &mapping{key: k, port: x.next, to: map[netip.AddrPort]bool{}, toIP: map[netip.Addr]bool{}}
		x.byInner[k] = m
		x.byPort[m.port] = m
	}
	m.last = now
	m.to[dst], m.toIP[dst.Addr()] = true, true
	return netip.AddrPortFrom(x.public, m.port)
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
