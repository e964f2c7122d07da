package socket

import "time"

// How a pool of several connections is kept in shape (C12).
const (
	// poolCheck is how often every connection of a pool is asked for a sign of life: one that gives none within
	// deathMargin and the worst latency of the last worstTime is dead, and another is made.
	poolCheck = 10 * time.Second
	// poolReplace is how often the worst connection of a pool is replaced, if it is much worse than the best: a new
	// one may be routed or queued differently.
	poolReplace = 5 * time.Minute
	// poolWorse and poolMargin say what much worse is: both must be exceeded.
	poolWorse  = 2
	poolMargin = 20 * time.Millisecond
)

// pool is the monitor of a session with several connections.
type pool struct {
	timer    *time.Timer
	checks   int
	replaced *link // the one that the next connection takes the place of
}

// watchPool starts or stops the monitor.
func (l *loop) watchPool() {
	switch on := l.keep() > 1 && len(l.links) > 0; {
	case on && l.pool.timer == nil:
		l.pool.timer = time.NewTimer(poolCheck)
	case !on && l.pool.timer != nil:
		l.pool.timer.Stop()
		l.pool.timer = nil
	}
}

// checkPool asks every connection, and has the worst replaced now and then.
func (l *loop) checkPool() {
	l.pool.timer.Reset(poolCheck)
	now := time.Now()
	for _, n := range l.links {
		if !n.watch.asked {
			n.watch.heard, n.watch.at = n.heard.Load(), now
			l.ask(n, now)
		}
	}
	l.startWatch()
	if l.pool.checks++; l.pool.checks%int(poolReplace/poolCheck) == 0 {
		l.pool.replaced = l.worst()
		l.plan()
	}
}

// worst is the connection, made by us, that is much worse than the best by its worst latency; nil if none is. Each
// side looks after those it has made, so that both do not replace the same one.
func (l *loop) worst() *link {
	var worst *link
	best := time.Duration(-1)
	for _, n := range l.links {
		if n.watch.stalled || n.leaveSaid || n.leaveHeard {
			continue
		}
		d := n.watch.worstLatency()
		if best < 0 || d < best {
			best = d
		}
		if n.dialled && (worst == nil || d > worst.watch.worstLatency()) {
			worst = n
		}
	}
	if worst == nil || worst.watch.worstLatency() <= poolWorse*best || worst.watch.worstLatency() <= best+poolMargin {
		return nil
	}
	return worst
}

// replace leaves the connection whose place a new one has taken.
func (l *loop) replace() {
	if old := l.pool.replaced; old != nil {
		l.pool.replaced = nil
		for _, n := range l.links {
			if n == old {
				l.leave(n)
			}
		}
	}
}
