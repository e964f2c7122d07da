package pace

import (
	"container/list"
	"context"
	"time"
)

// A limiter where something waits is in one of two states, for each class: its
// bucket is ready, and it stands in its parent's queue; or it is not, and the
// timer is set. Only the root serves. It takes the first flow of its queue, that
// one the first of its own, down to a waiter; limiters that turn out not to be
// ready on that way leave the queue and set their timers.
//
// All of this runs under the tree's lock.

// waiter is a call of Wait.
type waiter struct {
	class   Class
	n       int
	place   *list.Element // in its flow; nil when granted
	granted chan struct{}
}

// request takes n bytes at once if nothing waits before them, and returns nil, or
// queues them.
func (l *Limiter) request(c Class, n int) *waiter {
	l.tree.mu.Lock()
	defer l.tree.mu.Unlock()
	now := time.Now()
	if l.free(c, now) {
		for p := l; p != nil; p = p.parent {
			p.take(c, n)
		}
		return nil
	}
	w := &waiter{class: c, n: n, granted: make(chan struct{})}
	own := &l.own[c]
	w.place = own.waiters.PushBack(w)
	for p := l; p != nil; p = p.parent {
		p.waiting++
	}
	l.queues[c].add(own)
	l.offer(c, now)
	l.tree.root.serve(now)
	return w
}

// free reports whether a request of a class would be served next and now.
func (l *Limiter) free(c Class, now time.Time) bool {
	for p := l; p != nil; p = p.parent {
		for k := range c + 1 {
			if !p.queues[k].empty() {
				return false
			}
		}
		if !p.ready(c, now) {
			return false
		}
	}
	return true
}

// withdraw takes back a request whose ctx has ended, unless it has been granted:
// then the tokens are the caller's, and there is no error.
func (l *Limiter) withdraw(ctx context.Context, w *waiter) error {
	l.tree.mu.Lock()
	defer l.tree.mu.Unlock()
	if w.place == nil {
		return nil
	}
	own := &l.own[w.class]
	own.waiters.Remove(w.place)
	if own.waiters.Len() == 0 {
		l.queues[w.class].remove(own)
	}
	for p := l; p != nil; p = p.parent {
		p.waiting--
		if !p.queues[w.class].empty() {
			continue
		}
		if p.parent != nil {
			p.parent.queues[w.class].remove(&p.up[w.class])
		}
		if p.waiting == 0 && p.timer != nil {
			p.timer.Stop()
		}
	}
	return ctx.Err()
}

// offer puts the limiter into its parent's queue, and so on up to the root, as
// far as buckets are ready.
func (l *Limiter) offer(c Class, now time.Time) {
	for p := l; p.parent != nil; p = p.parent {
		if !p.ready(c, now) {
			p.setTimer()
			return
		}
		p.parent.queues[c].add(&p.up[c])
	}
}

// offerAll offers all that waits here, after a change to the bucket.
func (l *Limiter) offerAll(now time.Time) {
	for c := range Class(classes) {
		if !l.queues[c].empty() {
			l.offer(c, now)
		}
	}
	l.tree.root.serve(now)
}

// serve lets pass, at the root, all that may.
func (l *Limiter) serve(now time.Time) {
	for c := range Class(classes) {
		for more := true; more; {
			more = l.ready(c, now) && l.pass(c, now) > 0
		}
	}
	l.setTimer()
}

// pass grants the request that is next here, and returns its bytes: 0 if none of
// the flows is ready after all.
func (l *Limiter) pass(c Class, now time.Time) int {
	q := &l.queues[c]
	for !q.empty() {
		f := q.flows[0]
		n := 0
		switch {
		case f.child == nil:
			n = f.grant()
		case f.child.ready(c, now):
			n = f.child.pass(c, now)
		default:
			f.child.setTimer()
		}
		if n > 0 {
			q.charge(n)
			l.take(c, n)
			l.waiting--
		}
		if n == 0 || f.spent(c) {
			q.remove(f)
		}
		if n > 0 {
			return n
		}
	}
	return 0
}

// grant serves the first of the flow's waiters.
func (f *flow) grant() int {
	first := f.waiters.Front()
	w := f.waiters.Remove(first).(*waiter)
	w.place = nil
	close(w.granted)
	return w.n
}

// spent reports whether nothing more waits in the flow.
func (f *flow) spent(c Class) bool {
	if f.child != nil {
		return f.child.queues[c].empty()
	}
	return f.waiters.Len() == 0
}

// setTimer sets the timer for the first moment at which the bucket is ready for
// something that waits and that it is not ready for now.
func (l *Limiter) setTimer() {
	earliest := longestWait + 1
	for c := range Class(classes) {
		if !l.queues[c].empty() && l.rate > 0 {
			if d := l.delay(c); d > 0 {
				earliest = min(earliest, d)
			}
		}
	}
	switch {
	case earliest > longestWait:
	case l.timer == nil:
		l.timer = time.AfterFunc(earliest, l.wake)
	default:
		l.timer.Reset(earliest)
	}
}

// wake runs when the timer fires.
func (l *Limiter) wake() {
	l.tree.mu.Lock()
	defer l.tree.mu.Unlock()
	l.offerAll(time.Now())
}
