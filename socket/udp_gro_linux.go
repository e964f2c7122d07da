package socket

import (
	"encoding/binary"
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

const (
	// groTrains is how many trains one system call may bring. Measured: 1, 2, 4 and 8 carry bulk alike; 4 or more
	// carry small packets, each of which is a train of its own, as fast as reading them plainly.
	groTrains = 4
	// groBuffer is more than any UDP payload: of a train cut short the last packets would be lost.
	groBuffer = 64 << 10
	// groControl is what quic-go gives control messages (its oobBufferSize), and the size of a train's packets.
	groControl = 128 + 24
)

// groConn is a udpConn that receives with UDP_GRO (udp(7), Linux 5.0): the kernel hands up consecutive packets
// of one sender as one train, for the price of one packet, and quic-go, which knows nothing of trains,
// gets them as the packets they were, each with the ECN bits and the destination of its train (T1).
//
// Only ReadBatch may read, and only one goroutine at a time: the methods of *net.UDPConn would return whole trains.
// Deadlines and Close end a read as they do on *net.UDPConn. The buffers are 256 KiB for each socket.
type groConn struct {
	*udpConn
	batch  *ipv4.PacketConn // for IPv6 too: reading a batch is the same
	trains [groTrains]ipv4.Message
	queue  []ipv4.Message // of trains, those that are not handed out in full
	rest   []byte         // of queue[0], the packets that are not handed out
	size   int            // of each packet of queue[0] in bytes; the last may be shorter
}

// enableGRO makes a socket receive with GRO. One that cannot, with a kernel before 5.0 or in a sandbox, stays
// as it is.
var enableGRO = func(c *udpConn) net.PacketConn {
	raw, err := c.SyscallConn()
	if err == nil {
		err = control(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) })
	}
	if err != nil {
		return c
	}
	g := &groConn{udpConn: c, batch: ipv4.NewPacketConn(c.UDPConn)}
	for i := range g.trains {
		g.trains[i].Buffers = [][]byte{make([]byte, groBuffer)}
		g.trains[i].OOB = make([]byte, groControl)
	}
	return g
}

// ReadBatch is what quic-go reads by: the method of ipv4.PacketConn, with one packet in the first buffer of each of
// ms. It waits only if nothing is left of what the last call received. A packet longer than its buffer is
// cut, and MSG_TRUNC set, as for a plain read.
func (c *groConn) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	if len(c.queue) == 0 {
		n, err := c.batch.ReadBatch(c.trains[:], flags)
		if err != nil {
			return 0, err
		}
		c.queue = c.trains[:n]
		c.begin()
	}
	n := 0
	for n < len(ms) && len(c.queue) > 0 {
		c.next(&ms[n])
		n++
	}
	return n, nil
}

// begin prepares the first train of the queue, if there is one.
func (c *groConn) begin() {
	if len(c.queue) == 0 {
		return
	}
	t := &c.queue[0]
	c.rest = t.Buffers[0][:t.N]
	c.size, t.NN = takeSize(t.OOB[:t.NN])
	if c.size <= 0 {
		c.size = t.N // a lone packet, which may be empty
	}
}

// next hands out the next packet of the queue, which must not be empty.
func (c *groConn) next(m *ipv4.Message) {
	t := &c.queue[0]
	packet := c.rest[:min(c.size, len(c.rest))]
	c.rest = c.rest[len(packet):]
	m.N = copy(m.Buffers[0], packet)
	m.NN = copy(m.OOB, t.OOB[:t.NN])
	m.Addr, m.Flags = t.Addr, t.Flags
	if m.N < len(packet) {
		m.Flags |= unix.MSG_TRUNC
	}
	if len(c.rest) == 0 {
		c.queue = c.queue[1:]
		c.begin()
	}
}

// takeSize takes the message with the size of a train's packets out of the train's control messages, and
// returns that size, or 0 if there is none, and how many bytes the other messages fill at the start of oob.
func takeSize(oob []byte) (size, n int) {
	for rest := oob; len(rest) > 0; {
		h, body, after, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			break // cut short by the kernel
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(body) >= 4 {
			size = int(int32(binary.NativeEndian.Uint32(body)))
		} else {
			n += copy(oob[n:], rest[:len(rest)-len(after)])
		}
		rest = after
	}
	return size, n
}
