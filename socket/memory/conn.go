package memory

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// conn is one connection of a network.
type conn struct {
	net   *Network
	key   netip.AddrPort
	local *net.UDPAddr // as the readers of others see it, too

	readBy deadline
	ready  chan struct{} // holds a token while packets wait
	closed chan struct{}

	mu      sync.Mutex
	queue   queue
	writeBy time.Time
	shut    bool
}

var _ net.PacketConn = (*conn)(nil)

func newConn(n *Network, addr netip.AddrPort) *conn {
	return &conn{
		net: n, key: addr, local: net.UDPAddrFromAddrPort(addr),
		ready: make(chan struct{}, 1), closed: make(chan struct{}),
	}
}

// LocalAddr is the *net.UDPAddr of the connection.
func (c *conn) LocalAddr() net.Addr { return c.local }

// Close frees the address and ends blocked reads. What waited is dropped.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.shut {
		c.mu.Unlock()
		return c.failed("close", nil, net.ErrClosed)
	}
	c.shut = true
	c.queue.drop()
	close(c.closed)
	c.mu.Unlock()
	c.net.remove(c.key)
	c.readBy.set(time.Time{})
	return nil
}

func (c *conn) failed(op string, to net.Addr, err error) error {
	if to == nil {
		return &net.OpError{Op: op, Net: network, Addr: c.local, Err: err}
	}
	return &net.OpError{Op: op, Net: network, Source: c.local, Addr: to, Err: err}
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline applies to blocked and future reads.
func (c *conn) SetReadDeadline(t time.Time) error { return c.configure(func() { c.readBy.set(t) }) }

// SetWriteDeadline has writes fail that begin after t; none blocks.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.configure(func() { c.writeBy = t }) }

func (c *conn) configure(change func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		return c.failed("set", nil, net.ErrClosed)
	}
	change()
	return nil
}

// ReadFrom returns the packet that has waited longest.
func (c *conn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		late := c.readBy.wait()
		switch {
		case isClosed(c.closed):
			return 0, nil, c.failed("read", nil, net.ErrClosed)
		case isClosed(late):
			return 0, nil, c.failed("read", nil, os.ErrDeadlineExceeded)
		}
		if p, ok := c.next(); ok {
			n := copy(b, p.b)
			p.release()
			return n, p.from, nil
		}
		select {
		case <-c.ready:
		case <-late:
		case <-c.closed:
		}
	}
}

func (c *conn) next() (packet, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.queue.pop()
	if c.queue.count > 0 {
		c.wake() // another reader may wait
	}
	return p, ok
}

// WriteTo delivers a packet to a *net.UDPAddr.
func (c *conn) WriteTo(b []byte, to net.Addr) (int, error) {
	if err := c.writable(len(b)); err != nil {
		return 0, c.failed("write", to, err)
	}
	dst, err := destination(to)
	if err != nil {
		return 0, c.failed("write", to, err)
	}
	if peer := c.net.find(dst); peer != nil {
		peer.receive(c.local, b)
	}
	return len(b), nil
}

func (c *conn) writable(size int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.shut:
		return net.ErrClosed
	case !c.writeBy.IsZero() && !time.Now().Before(c.writeBy):
		return os.ErrDeadlineExceeded
	case size > maxPacket:
		return syscall.EMSGSIZE
	}
	return nil
}

func (c *conn) receive(from net.Addr, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut || !c.queue.room(len(b)) {
		return
	}
	c.queue.push(copyPacket(from, b))
	c.wake()
}

func (c *conn) wake() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}
