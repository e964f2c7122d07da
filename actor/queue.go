package actor

import "sync/atomic"

type node struct {
	next *node
	msg  any
}

// sealed is the head of every closed queue.
var sealed = &node{}

// queue is an unbounded FIFO with any number of producers and one consumer.
// Producers push on a stack; the consumer takes the whole stack and reverses
// it, which keeps the order of pushes and cannot suffer from ABA. It costs two
// words when empty, because most processes are idle most of the time.
//
// A push either precedes close, and is then returned by a later pop, or fails:
// no message falls between.
type queue struct {
	in  atomic.Pointer[node] // newest first
	out *node                // oldest first; the consumer's
}

// push appends msg and reports whether the queue was open.
func (q *queue) push(msg any) bool {
	n := &node{msg: msg}
	for {
		h := q.in.Load()
		if h == sealed {
			return false
		}
		n.next = h
		if q.in.CompareAndSwap(h, n) {
			return true
		}
	}
}

// pop takes the oldest message. Only the consumer may call it.
func (q *queue) pop() (msg any, ok bool) {
	if q.out == nil {
		if !q.pushed() {
			return nil, false
		}
		q.out = reverse(q.in.Swap(nil))
	}
	n := q.out
	q.out = n.next
	return n.msg, true
}

// pushed reports whether a push came after the last pop that failed. Anyone may
// call it.
func (q *queue) pushed() bool {
	h := q.in.Load()
	return h != nil && h != sealed
}

// close makes every later push fail; what is queued can still be popped. Only
// the consumer may call it.
func (q *queue) close() {
	h := q.in.Swap(sealed)
	if h == nil || h == sealed {
		return
	}
	last := &q.out
	for *last != nil {
		last = &(*last).next
	}
	*last = reverse(h)
}

func reverse(n *node) *node {
	var r *node
	for n != nil {
		n.next, r, n = r, n, n.next
	}
	return r
}
