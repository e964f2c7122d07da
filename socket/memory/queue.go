package memory

import (
	"net"
	"sync"
)

// Bounds of what waits for a reader, like a socket's receive buffer.
const (
	maxPackets = 4096
	maxBytes   = 4 << 20
)

// maxPacket is the largest payload of a UDP datagram over IPv4 (RFC 768, RFC 791).
const maxPacket = 65_507

// packet is one packet in a queue; its bytes are the queue's until release.
type packet struct {
	from net.Addr
	b    []byte
	box  *[]byte // where b came from, if from the pool
}

// pooled is the size of buffers kept for reuse: it holds any packet of a usual path.
const pooled = 2048

var buffers = sync.Pool{New: func() any { b := make([]byte, pooled); return &b }}

// copyPacket makes a packet of bytes that remain the caller's.
func copyPacket(from net.Addr, b []byte) packet {
	if len(b) > pooled {
		return packet{from: from, b: append([]byte(nil), b...)}
	}
	box := buffers.Get().(*[]byte)
	return packet{from: from, b: (*box)[:copy(*box, b)], box: box}
}

func (p *packet) release() {
	if p.box != nil {
		buffers.Put(p.box)
	}
}

// queue is a ring that grows with what waits, to maxPackets. It is not safe for concurrent use.
type queue struct {
	ring  []packet // its length is a power of two, or zero
	first int
	count int
	bytes int
}

// room reports whether a packet of size bytes may wait too.
func (q *queue) room(size int) bool { return q.count < maxPackets && q.bytes+size <= maxBytes }

func (q *queue) push(p packet) {
	if q.count == len(q.ring) {
		q.grow()
	}
	q.ring[(q.first+q.count)&(len(q.ring)-1)] = p
	q.count++
	q.bytes += len(p.b)
}

func (q *queue) grow() {
	bigger := make([]packet, max(16, 2*len(q.ring)))
	n := copy(bigger, q.ring[q.first:])
	copy(bigger[n:], q.ring[:q.first])
	q.ring, q.first = bigger, 0
}

func (q *queue) pop() (p packet, ok bool) {
	if q.count == 0 {
		return packet{}, false
	}
	slot := &q.ring[q.first]
	p, *slot = *slot, packet{}
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.count--
	q.bytes -= len(p.b)
	return p, true
}

// drop empties the queue and frees its memory.
func (q *queue) drop() {
	for p, ok := q.pop(); ok; p, ok = q.pop() {
		p.release()
	}
	q.ring, q.first = nil, 0
}
