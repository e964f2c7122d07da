package simnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Conn is a net.PacketConn on a simulated network, with net.UDPAddr addresses. Safe for concurrent use.
type Conn struct {
	net   *Net
	local netip.AddrPort // net.mu guards it: the host may move

	arrived chan struct{} // holds a token when something waits
	closed  chan struct{}
	once    sync.Once

	mu       sync.Mutex
	inbox    []datagram
	deadline time.Time
	moved    chan struct{} // closed when the deadline changes
	writeErr error
}

type datagram struct {
	from netip.AddrPort
	b    []byte
}

var _ net.PacketConn = (*Conn)(nil)

func newConn(n *Net, local netip.AddrPort) *Conn {
	return &Conn{
		net: n, local: local,
		arrived: make(chan struct{}, 1), closed: make(chan struct{}), moved: make(chan struct{}),
	}
}

// LocalAddr is the *net.UDPAddr given to Listen, or the one that [Net.Move] made of it.
func (c *Conn) LocalAddr() net.Addr {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	return net.UDPAddrFromAddrPort(c.local)
}

// Close frees the address; a blocked ReadFrom returns net.ErrClosed.
func (c *Conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.net.mu.Lock()
		delete(c.net.conns, c.local)
		c.net.mu.Unlock()
	})
	return nil
}

// FailWrites makes every WriteTo return err, as an operating system does in the instant an address
// changes; nil ends it.
func (c *Conn) FailWrites(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeErr = err
}

// SetDeadline sets the read deadline: writes never block.
func (c *Conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writes never block.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// SetReadBuffer and SetWriteBuffer do nothing: the inbox holds 10,000 packets.
func (c *Conn) SetReadBuffer(int) error  { return nil }
func (c *Conn) SetWriteBuffer(int) error { return nil } //nolint:revive // documented above

// SetReadDeadline applies to pending and future calls of ReadFrom.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	close(c.moved)
	c.moved = make(chan struct{})
	return nil
}

// ReadFrom returns the next packet; what does not fit in p is cut off, as UDP does.
func (c *Conn) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		d, deadline, moved := c.next()
		switch {
		case c.isClosed():
			return 0, nil, net.ErrClosed
		case d != nil:
			return copy(p, d.b), net.UDPAddrFromAddrPort(d.from), nil
		case !deadline.IsZero() && !time.Now().Before(deadline):
			return 0, nil, os.ErrDeadlineExceeded
		}
		if err := c.await(deadline, moved); err != nil {
			return 0, nil, err
		}
	}
}

func (c *Conn) next() (*datagram, time.Time, chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inbox) == 0 {
		return nil, c.deadline, c.moved
	}
	if !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		return nil, c.deadline, c.moved
	}
	d := c.inbox[0]
	c.inbox = c.inbox[1:]
	if len(c.inbox) > 0 {
		c.wake() // another reader may wait
	}
	return &d, c.deadline, c.moved
}

func (c *Conn) await(deadline time.Time, moved chan struct{}) error {
	var expired <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-c.arrived:
	case <-moved:
	case <-expired:
	case <-c.closed:
		return net.ErrClosed
	}
	return nil
}

var errNotUDP = errors.New("simnet: destination is not a *net.UDPAddr")

// WriteTo sends p to a *net.UDPAddr. It never blocks.
func (c *Conn) WriteTo(p []byte, to net.Addr) (int, error) {
	if c.isClosed() {
		return 0, net.ErrClosed
	}
	c.mu.Lock()
	err := c.writeErr
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	ua, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, errNotUDP
	}
	ap := ua.AddrPort()
	c.net.send(c, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), append([]byte(nil), p...))
	return len(p), nil
}

// receive queues a packet and says what became of it. net.mu is held.
func (c *Conn) receive(from netip.AddrPort, b []byte) Fate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inbox) >= maxInbox {
		return Overflowed
	}
	c.inbox = append(c.inbox, datagram{from, b})
	c.wake()
	return Delivered
}

func (c *Conn) wake() {
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

func (c *Conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}
