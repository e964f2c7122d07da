package pace

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Limiter holds the bytes that pass through it, and through its children, to a
// rate. A nil Limiter limits nothing. Its methods may be called concurrently. It
// needs no closing: a parent knows of a child only while something waits there.
type Limiter struct {
	parent  *Limiter
	tree    *tree
	limited atomic.Bool // the bucket has a rate

	// The tree's lock guards the rest.
	bucket
	queues  [classes]fairQueue // what waits here, per class
	own     [classes]flow      // its own waiters, as a flow of its own queue
	up      [classes]flow      // all that waits here, as a flow of the parent's queue
	timer   *time.Timer        // runs offerAll when the bucket is ready again
	waiting int                // here and in the children
}

// tree is what the limiters under one root share.
type tree struct {
	mu   sync.Mutex
	root *Limiter
}

// Stats is a limiter's state at one moment.
type Stats struct {
	Rate    float64 // bytes per second; 0 is no limit
	Burst   int     // bytes, as in force: see [New]; 0 without a limit
	Waiting int     // calls of Wait that wait here or in a child
}

// New returns a limiter under parent, or the root of a new tree if parent is nil.
//
// The rate is in bytes per second; zero, a negative or an infinite one is no
// limit. The burst is what may pass at once after a pause, in bytes. It is raised
// to 5 ms worth of the rate if it is less, since timers are late. In any t seconds
// at most rate·t + burst bytes of a class pass, and one request more; of both
// classes together at most one more burst and request.
func New(parent *Limiter, bytesPerSecond float64, burst int) *Limiter {
	l := &Limiter{parent: parent}
	if parent != nil {
		l.tree = parent.tree
	} else {
		l.tree = &tree{root: l}
	}
	for c := range l.up {
		l.up[c].child = l
	}
	l.set(bytesPerSecond, burst, time.Now())
	l.limited.Store(l.rate > 0)
	return l
}

// SetRate changes rate and burst, which mean what they mean to [New]. It takes
// effect at once, also for what is waiting.
func (l *Limiter) SetRate(bytesPerSecond float64, burst int) {
	l.tree.mu.Lock()
	defer l.tree.mu.Unlock()
	now := time.Now()
	l.set(bytesPerSecond, burst, now)
	l.limited.Store(l.rate > 0)
	l.offerAll(now)
}

// Stats returns the limiter's rate and how much is waiting.
func (l *Limiter) Stats() Stats {
	if l == nil {
		return Stats{}
	}
	l.tree.mu.Lock()
	defer l.tree.mu.Unlock()
	return Stats{Rate: l.rate, Burst: int(l.burst), Waiting: l.waiting}
}

// Wait takes n bytes from the limiter and all its parents, and returns when they
// may be sent. There is no bound on n, but other requests of the class wait for
// all of it: bulk should ask for pieces of some 64 KiB at most, and send each
// before it asks for the next.
//
// The only error is ctx's, and then nothing has been taken. Where no limit
// applies, ctx is not looked at. Whoever sends less than it took loses the
// difference.
func (l *Limiter) Wait(ctx context.Context, c Class, n int) error {
	if l.Limited() {
		return l.waitLimited(ctx, c, n)
	}
	return nil
}

// Limited reports whether the limiter or one of its parents has a rate. It costs
// a few loads.
func (l *Limiter) Limited() bool {
	for p := l; p != nil; p = p.parent {
		if p.limited.Load() {
			return true
		}
	}
	return false
}

func (l *Limiter) waitLimited(ctx context.Context, c Class, n int) error {
	if err := ctx.Err(); err != nil || n <= 0 {
		return err
	}
	w := l.request(c, n)
	if w == nil {
		return nil
	}
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
		return l.withdraw(ctx, w)
	}
}
