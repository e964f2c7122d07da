package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// A Network is a network of its own: its addresses mean nothing on another. Safe for concurrent use.
type Network struct {
	mu    sync.RWMutex
	conns map[netip.AddrPort]*conn
	last  uint32 // the number of the last host that got its address from us
}

// NewNetwork makes an empty network. It holds no resources beyond those of its connections.
func NewNetwork() *Network {
	return &Network{conns: map[netip.AddrPort]*conn{}}
}

// port is the port of the addresses that the network chooses.
const port = 4000

// Listen opens a connection at addr, or, for the zero AddrPort, at an address that no other connection has had from
// this network: of 2001:db8::/32, the range for documentation (RFC 3849), each in a /48 of its own, so that limits
// per prefix see a host of its own. The error is a *net.OpError: of syscall.EADDRINUSE, or of
// syscall.EADDRNOTAVAIL for an addr without address or port.
//
// The connection's addresses are *net.UDPAddr, and shared: do not change one. It has no goroutine and writes never
// block. A packet of up to 65,507 bytes is delivered before WriteTo returns; it vanishes if nobody listens at its
// destination, or 4,096 packets or 4 MiB wait there. ReadFrom cuts off what does not fit into its buffer.
// Errors are *net.OpErrors as the net package's: of os.ErrDeadlineExceeded, of net.ErrClosed, and for a packet that
// is too large of syscall.EMSGSIZE.
func (n *Network) Listen(addr netip.AddrPort) (net.PacketConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addr == (netip.AddrPort{}) {
		addr = n.free()
	}
	addr = unmap(addr)
	var err error
	switch {
	case addr.Port() == 0 || !addr.IsValid() || addr.Addr().IsUnspecified():
		err = syscall.EADDRNOTAVAIL
	case n.conns[addr] != nil:
		err = syscall.EADDRINUSE
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.UDPAddrFromAddrPort(addr), Err: err}
	}
	c := newConn(n, addr)
	n.conns[addr] = c
	return c, nil
}

// network is what errors call it.
const network = "memory"

// free is an address not given out before. n.mu is held.
func (n *Network) free() netip.AddrPort {
	for {
		n.last++
		a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}
		// The third group numbers the /48s, the fourth goes on where they end.
		binary.BigEndian.PutUint16(a[4:], uint16(n.last))
		binary.BigEndian.PutUint16(a[6:], uint16(n.last>>16))
		ap := netip.AddrPortFrom(netip.AddrFrom16(a), port)
		if n.conns[ap] == nil {
			return ap
		}
	}
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

func (n *Network) find(addr netip.AddrPort) *conn {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.conns[addr]
}

func (n *Network) remove(addr netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, addr)
}

var errNotUDP = errors.New("not a *net.UDPAddr")

// destination is the address of a packet to be sent.
func destination(to net.Addr) (netip.AddrPort, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok || u == nil {
		return netip.AddrPort{}, fmt.Errorf("destination is a %T: %w", to, errNotUDP)
	}
	return unmap(u.AddrPort()), nil
}
