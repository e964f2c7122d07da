package socket

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// How often a session that needs a connection tries to make one (C8).
const (
	// urgentFirst and urgentLast are the first and the longest pause while something waits to be sent: each
	// attempt costs 2.4 KB, and when the path is back the next one finds it (measured: QUIC's own back-off
	// needs up to a minute more). urgentTime ends that.
	urgentFirst  = 250 * time.Millisecond
	urgentLast   = 2 * time.Second
	urgentGrowth = 1.25
	urgentTime   = 15 * time.Minute
	// attemptSpacing is the least time between the beginnings of two attempts, whatever causes them: an attempt
	// must have its round trips before later ones take its place, and a peer that breaks connections off as soon as
	// they are made must not be dialled without pause.
	attemptSpacing = 250 * time.Millisecond
	// maxAttempts is how many attempts of one session go on at once; a further one takes the oldest's place.
	maxAttempts = 8
	// maxRedials is how many go on in the whole host.
	maxRedials = 256
	// refillPause is how long the side that did not dial waits before it adds to a pool.
	refillPause = 5 * time.Second
)

var errSilent = errors.New("the peer is silent")

// redial is the state of a session's attempts to connect again.
type redial struct {
	timer   *time.Timer // of the next attempt; nil if none is needed
	urgent  bool        // what timer was set for
	tries   int         // since there was last a working connection
	since   time.Time   // when that was
	begun   time.Time   // the latest attempt
	last    error       // how the latest attempt or connection ended
	running []*attempt  // oldest first
}

// attempt is one try to make a connection.
type attempt struct {
	target target
	cancel context.CancelFunc
}

func (r *redial) cancelAll() {
	for _, a := range r.running {
		a.cancel()
	}
}

// need reports whether the session lacks a connection, and whether something waits for it.
func (l *loop) need() (need, urgent bool) {
	if l.State() != StateEstablished && l.State() != StateClosing {
		return false, false
	}
	working := 0
	for _, n := range l.links {
		if !n.watch.suspect && !n.watch.stalled && !n.leaveHeard && !n.leaveSaid {
			working++
		}
	}
	if working == 0 {
		return true, l.waits() || l.callers.Load() > 0 || l.closing.active
	}
	want := l.keep()
	if l.pool.replaced != nil {
		want++
	}
	return working < want, false
}

// plan sets the timer of the next attempt, or stops attempts that are not needed any more.
func (l *loop) plan() {
	r := &l.redial
	need, urgent := l.need()
	if !need || l.addresses.empty() {
		if r.timer != nil {
			r.timer.Stop()
			r.timer = nil
		}
		r.cancelAll()
		r.tries, r.since = 0, time.Time{}
		return
	}
	if r.since.IsZero() {
		r.since = time.Now()
	}
	if r.timer != nil {
		if !urgent || r.urgent {
			return
		}
		r.timer.Stop()
	}
	r.urgent = urgent
	r.timer = time.NewTimer(max(l.pause(urgent), attemptSpacing-time.Since(r.begun)))
}

// pause is how long to wait for the next attempt.
func (l *loop) pause(urgent bool) time.Duration {
	r, cfg := &l.redial, &l.host.cfg
	var d time.Duration
	switch {
	case urgent && time.Since(r.since) < urgentTime:
		if r.tries == 0 {
			return 0
		}
		d = grow(urgentFirst, urgentLast, urgentGrowth, r.tries-1)
	case r.tries == 0 && len(l.links) > 0 && !l.links[0].dialled: // a pool that the other side is to fill
		d = refillPause
	case r.tries == 0 && len(l.links) > 0:
		return 0
	default:
		d = grow(cfg.ReconnectMin, cfg.ReconnectMax, 2, r.tries)
	}
	return d*3/4 + rand.N(d/2+1) //nolint:gosec // jitter
}

func grow(first, last time.Duration, by float64, times int) time.Duration {
	d := float64(first)
	for range min(times, 64) {
		d = min(d*by, float64(last))
	}
	return time.Duration(d)
}

// try begins the next attempt.
func (l *loop) try() {
	r := &l.redial
	r.timer = nil
	need, _ := l.need()
	to, ok := l.addresses.at(r.tries)
	if !need || !ok {
		l.plan()
		return
	}
	r.tries++
	r.begun = time.Now()
	if ask := l.host.cfg.Reconnect; ask != nil && r.tries > 1 && len(l.links) == 0 && !ask(l.Session, r.tries, r.last) {
		l.end(l.givenUp())
		return
	}
	l.counters.redials.Add(1)
	if len(r.running) >= maxAttempts {
		r.running[0].cancel()
	}
	ctx, cancel := context.WithTimeout(l.life, l.host.cfg.HandshakeTimeout)
	a := &attempt{to, cancel}
	r.running = append(r.running, a)
	l.spawn(func() {
		defer cancel()
		l.post(event{kind: evTried, try: a, err: l.host.again(ctx, l.Session, to)})
	})
	l.plan()
}

func (l *loop) givenUp() error {
	if l.redial.last != nil {
		return l.redial.last
	}
	return &Error{Code: Timeout, Op: "reconnect", Peer: l.peer, Err: errSilent}
}

// tried notes how an attempt ended. What the peer itself says about the session is final.
func (l *loop) tried(a *attempt, err error) error {
	r := &l.redial
	for i, x := range r.running {
		if x == a {
			r.running = append(r.running[:i], r.running[i+1:]...)
			break
		}
	}
	if err == nil {
		if r.timer != nil { // the pool lacks another: that is no failure
			r.timer.Stop()
			r.timer, r.tries = nil, 0
			l.plan()
		}
		return nil
	}
	if said, ok := errors.AsType[*PeerError](err); ok && endsSession(err) && said.Code != Limit {
		return l.explain(err)
	}
	if errors.Is(err, Authentication) { // somebody else is there now
		l.addresses.bad(a.target)
	}
	if !errors.Is(err, Closed) { // else it was cancelled
		r.last = err
	}
	return nil
}

// kick is called when the network may have changed, or somebody waits: attempts begin anew, and links that do
// not answer soon are replaced.
func (l *loop) kick() {
	now := time.Now()
	for _, n := range l.links {
		if !n.watch.stalled {
			n.watch.heard, n.watch.at, n.watch.asked, n.watch.hurry = n.heard.Load(), now, false, true
			l.ask(n, now)
		}
	}
	r := &l.redial
	r.tries, r.since = 0, time.Time{}
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	l.startWatch()
	l.plan()
}
