package main

import (
	"net"
	"net/netip"
	"path/filepath"

	"parley/peer"
)

// invitation is the command that a friend has to type to reach us.
func invitation(nick string, id peer.ID, bound net.Addr, secretFile string) string {
	s := "go run ./examples/chat -peer " + nick + "=" + id.String() + "@" + reachable(bound)
	if secretFile != "" {
		s += " -network-secret-file " + filepath.Base(secretFile)
	}
	return s
}

// reachable is where others find a socket that is bound to an address: where it is
// bound to all of the machine's, one that a friend is likely to reach.
func reachable(bound net.Addr) string {
	ap, err := netip.ParseAddrPort(bound.String())
	if err != nil || !ap.Addr().IsUnspecified() {
		return bound.String()
	}
	return netip.AddrPortFrom(ownAddress(), ap.Port()).String()
}

// ownAddress picks the address with which this machine would go to the internet,
// else any that others may reach, else the loopback address.
func ownAddress() netip.Addr {
	// Connecting a UDP socket sends nothing; it asks for the route to an address
	// kept for documentation (RFC 5737).
	if c, err := net.Dial("udp4", "192.0.2.1:9"); err == nil { //nolint:noctx // it does not wait
		defer c.Close()
		if ap, err := netip.ParseAddrPort(c.LocalAddr().String()); err == nil {
			return ap.Addr()
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err == nil {
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
				return p.Addr()
			}
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
