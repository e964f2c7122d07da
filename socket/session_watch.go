package socket

import (
	"time"

	"parley/wire"
)

// How silence is judged while something waits to be acknowledged (C7, C12). QUIC alone would take a path for
// dead after 30 s, and after an outage of a minute wait for another.
const (
	// watchTick is how often the links are looked at while something waits.
	watchTick = 100 * time.Millisecond
	// askAfter is how long a link is silent before it is asked for an answer, redialAfter before another is
	// made beside it, and stallAfter before nothing more is sent on it; each at least so many round trips.
	askAfter, askRounds       = 200 * time.Millisecond, 2
	redialAfter, redialRounds = 500 * time.Millisecond, 3
	stallAfter, stallRounds   = time.Second, 3
	// hurryAfter takes the place of the last two when the network is known to have changed.
	hurryAfter = 250 * time.Millisecond
	// deathMargin, added to the worst latency of the last worstTime, is when a silent link is dead: it is closed
	// if there is another, and otherwise the session is down.
	deathMargin = time.Second
	worstTime   = 5 * time.Minute
	// settleTime is how long a link that was stalled must be heard before the session is said to be up again: a
	// path that works for moments is not reported each time (hysteresis).
	settleTime = 300 * time.Millisecond
)

// watch is the state of the watching of a session's links.
type watch struct {
	timer *time.Timer
	known []*link // where things were placed last
	nonce uint64
}

// linkWatch is what is known of the liveness of one link.
type linkWatch struct {
	heard    uint64    // link.heard when it last changed
	at       time.Time // when that was noticed, or the watching began
	asked    bool      // a ping has been sent since
	nonce    uint64    // which
	askedAt  time.Time
	hurry    bool      // the network is known to have changed
	suspect  bool      // silent for long enough that another is being made
	stalled  bool      // nothing more is sent here
	back     time.Time // when it last ceased to be stalled
	worst    [2]time.Duration
	worstEnd time.Time // when the older half of worst is forgotten
	born     time.Time
}

func (w *linkWatch) begin(n *link) {
	now := time.Now()
	*w = linkWatch{heard: n.heard.Load(), at: now, born: now, worstEnd: now.Add(worstTime)}
	w.latency(now, n.stats().latestRTT)
}

// latency notes a measured round trip. The worst of at least the last worstTime is kept.
func (w *linkWatch) latency(now time.Time, d time.Duration) {
	if now.After(w.worstEnd) {
		w.worst[1], w.worst[0] = w.worst[0], 0
		w.worstEnd = now.Add(worstTime)
	}
	w.worst[0] = max(w.worst[0], d)
}

func (w *linkWatch) worstLatency() time.Duration { return max(w.worst[0], w.worst[1]) }

// pending has the links watched: something waits to be acknowledged. It is cheap and never blocks.
func (s *Session) pending() {
	if !s.watching.Load() {
		select {
		case s.watchc <- struct{}{}:
		default:
		}
	}
}

// startWatch begins to watch if nothing does.
func (l *loop) startWatch() {
	if l.watch.timer != nil {
		return
	}
	l.watching.Store(true)
	now := time.Now()
	for _, n := range l.links {
		n.watch.heard, n.watch.at, n.watch.asked = n.heard.Load(), now, false
	}
	l.watch.timer = time.NewTimer(watchTick)
	l.plan()
}

// tick looks at every link, and goes on as long as something waits.
func (l *loop) tick() {
	now := time.Now()
	changed := false
	for _, n := range l.links {
		changed = l.look(n, now) || changed
		if l.host.cfg.widens && n.lossy() {
			l.widen()
		}
	}
	l.streams.tick(now, trip)
	for _, n := range append([]*link(nil), l.links...) { // a pool does not wait for its dead
		if n.watch.stalled && now.Sub(n.watch.at) > deathMargin+n.watch.worstLatency() && l.anyWorks() {
			l.drop(n)
			changed = true
		}
	}
	if changed {
		l.arrange()
	} else {
		l.judge()
	}
	if l.Condition() == ConditionUp && !l.waits() {
		l.watch.timer = nil
		l.watching.Store(false)
		if l.waits() { // accepted in this very moment
			l.pending()
		}
		return
	}
	l.watch.timer.Reset(watchTick)
}

// trip is the round trip of a link, 0 if it is silent. The loop calls it.
func trip(n *link) time.Duration {
	if n.watch.suspect || n.watch.stalled {
		return 0
	}
	return max(n.stats().rtt, 1)
}

// waits reports whether something is not acknowledged, or a link not judged.
func (l *loop) waits() bool {
	if _, bytes := l.unacknowledged(); bytes > 0 {
		return true
	}
	if _, bytes := l.streams.unacked(); bytes > 0 {
		return true
	}
	for _, n := range l.links {
		if n.watch.hurry || n.watch.stalled || n.watch.asked {
			return true
		}
	}
	return false
}

// look judges one link; it reports whether it has become stalled or live again.
func (l *loop) look(n *link, now time.Time) bool {
	w := &n.watch
	if h := n.heard.Load(); h != w.heard {
		stalled, suspect := w.stalled, w.suspect
		w.heard, w.at = h, now
		w.asked, w.hurry, w.suspect, w.stalled = false, false, false, false
		switch {
		case stalled:
			w.back = now
		case suspect:
			l.plan()
		}
		return stalled
	}
	silent, rtt := now.Sub(w.at), n.stats().rtt
	if !w.asked && silent >= max(askAfter, askRounds*rtt) || w.hurry && !w.asked {
		l.ask(n, now)
	}
	redial, stall := max(redialAfter, redialRounds*rtt), max(stallAfter, stallRounds*rtt)
	if w.hurry {
		redial = max(hurryAfter, redialRounds*rtt)
		stall = max(redial, stallAfter/2)
	}
	if silent >= redial && !w.suspect {
		w.suspect = true
		l.plan()
	}
	if silent >= stall && !w.stalled {
		w.stalled = true
		return true
	}
	return false
}

// ask sends a ping.
func (l *loop) ask(n *link, now time.Time) {
	l.watch.nonce++
	n.watch.asked, n.watch.nonce, n.watch.askedAt = true, l.watch.nonce, now
	n.say(&wire.Control{Kind: &wire.ControlPing{Ping: &wire.Ping{Nonce: l.watch.nonce, SendTime: uint64(max(now.UnixMicro(), 0))}}})
}

func (l *loop) pong(n *link, p *wire.Pong) {
	if n.watch.nonce == p.GetNonce() && !n.watch.askedAt.IsZero() {
		now := time.Now()
		n.watch.latency(now, now.Sub(n.watch.askedAt))
		n.watch.askedAt = time.Time{}
		l.publish()
	}
	if n.watch.stalled || n.watch.hurry {
		if l.look(n, time.Now()) {
			l.arrange()
		}
	}
}

// anyWorks reports whether there is a link to rely on.
func (l *loop) anyWorks() bool {
	for _, n := range l.links {
		if n.accepted && !n.watch.stalled {
			return true
		}
	}
	return false
}

// judge derives the session's condition from its links' and tells whoever observes it.
func (l *loop) judge() {
	if l.State() != StateEstablished && l.State() != StateClosing {
		return
	}
	now, c := time.Now(), ConditionDown
	for _, n := range l.links {
		if c == ConditionUp {
			break
		}
		if !n.accepted {
			continue
		}
		w := &n.watch
		switch {
		case !w.stalled && now.Sub(w.back) < settleTime && l.Condition() != ConditionUp:
			c = ConditionStalled
		case !w.stalled:
			c = ConditionUp
		case c == ConditionDown && now.Sub(w.at) <= stallAfter+deathMargin+w.worstLatency():
			c = ConditionStalled
		}
	}
	if l.Condition() == ConditionDown && c == ConditionStalled || !l.become(c) { // down is over when it is up
		return
	}
	l.counters.became(c, now)
	kind := Stalled
	switch c {
	case ConditionUp:
		kind = Up
	case ConditionDown:
		kind = Down
		l.outages.Add(1)
		l.downSince.Store(now.UnixNano())
		l.dropBestEffort()
	}
	if c == ConditionUp {
		l.setUp()
	} else {
		l.setDown()
	}
	if c == ConditionDown && l.expiry == nil {
		l.expiry = time.NewTimer(l.host.cfg.Retention)
	}
	if c == ConditionUp {
		l.stopExpiry()
	}
	l.host.notify(Event{Kind: kind, Session: l.Session, Cause: l.causeOf(c)})
}

func (l *loop) causeOf(c Condition) error {
	if c == ConditionUp {
		return nil
	}
	if c == ConditionDown && len(l.links) == 0 && l.redial.last != nil {
		return l.redial.last
	}
	return &Error{Code: Timeout, Op: "session", Peer: l.peer, Err: errSilent}
}
