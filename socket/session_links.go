package socket

import (
	"errors"
	"slices"
	"time"

	"parley/wire"
)

const (
	// maxLinks bounds the connections of one session; beyond it the worst is closed. More than
	// wire.MaxConnections, because a new one is made before an old one is left.
	maxLinks = wire.MaxConnections + 8
	// leaveTime is how long a connection that we leave is kept for the peer to leave it as well.
	leaveTime = 5 * time.Second
	// mergeTime is how long one connection more than wanted is kept, where more than one are: the side that
	// made it to replace a bad one says which that is.
	mergeTime = 2 * time.Second
)

// place is the connection where the lane or stream of this number belongs, nil if there is none right now.
func (s *Session) place(number uint64) *link {
	a := s.active.Load()
	if a == nil || len(*a) == 0 {
		return nil
	}
	return (*a)[number%uint64(len(*a))]
}

// unplace has nothing placed on a connection that has just failed. The loop soon learns of it as well.
func (s *Session) unplace(n *link) {
	for {
		a := s.active.Load()
		if a == nil || !slices.Contains(*a, n) {
			return
		}
		rest := slices.DeleteFunc(slices.Clone(*a), func(x *link) bool { return x == n })
		if s.active.CompareAndSwap(a, &rest) {
			return
		}
	}
}

// attach adds a link whose handshake is complete. The first one establishes the session; a later one takes
// over from those that are silent.
func (l *loop) attach(n *link, a *joining) error {
	if l.State() > StateClosing {
		return &Error{Code: Closed, Op: "attach", Peer: l.peer}
	}
	if a.offer != nil {
		if err := l.agree(n, a.offer); err != nil {
			return err
		}
	} else {
		n.leaving = time.AfterFunc(l.host.cfg.HandshakeTimeout, func() { n.close(closeTimeout, "") })
	}
	l.generation.Store(max(l.generation.Load(), n.rank.generation))
	n.watch.begin(n)
	l.links = append(l.links, n)
	slices.SortFunc(l.links, func(a, b *link) int {
		if a.better(b) {
			return -1
		}
		return 1
	})
	if l.State() == StateHandshaking {
		l.current.Store(n)
		l.active.Store(&[]*link{n})
		l.watch.known = []*link{n}
		l.enter(StateEstablished)
		l.publish()
		l.host.announce(l.Session)
		close(l.established)
	}
	n.admitted()
	n.start()
	for len(l.links) > maxLinks {
		l.drop(l.links[len(l.links)-1])
	}
	if n.accepted {
		l.takeOver(n)
	}
	l.arrange()
	l.watchPool()
	return nil
}

// agree takes in what the peer has said on a new link.
func (l *loop) agree(n *link, o offer) error {
	if err := l.acknowledged(o.GetReceived()); err != nil {
		return err
	}
	l.wanted = max(int(o.GetConnections()), 1)
	l.addresses.good(n.remoteAddr())
	n.accepted = true
	return nil
}

// accept handles the peer's Accept on a link that has carried data already.
func (l *loop) accept(n *link, a *wire.Accept) error {
	ekm, err := n.export(exporterLabel, nil, exporterSize)
	if err == nil {
		err = l.checkAccept(a, ekm, true)
	}
	if err == nil {
		err = l.agree(n, a)
	}
	if err != nil {
		return err
	}
	n.leaving.Stop()
	n.leaving = nil
	l.takeOver(n)
	l.arrange()
	return nil
}

// takeOver has a new link take the place of those that are silent.
func (l *loop) takeOver(n *link) {
	for _, old := range slices.Clone(l.links) {
		if old != n && old.watch.stalled {
			l.drop(old)
		}
	}
	l.stopExpiry()
	if n.dialled {
		l.replace()
	}
}

// drop closes a link that is not worth leaving in order.
func (l *loop) drop(n *link) {
	l.remove(n)
	n.close(closeDrained, "")
}

// remove forgets a link. Its streams go on elsewhere.
func (l *loop) remove(n *link) bool {
	i := slices.Index(l.links, n)
	if i < 0 {
		return false
	}
	l.links = slices.Delete(l.links, i, i+1)
	n.stopTimers()
	return true
}

func (n *link) stopTimers() {
	for _, t := range []*time.Timer{n.leaving, n.merging} {
		if t != nil {
			t.Stop()
		}
	}
}

// keep is how many connections the session is to have: both sides come to the same number.
func (l *loop) keep() int {
	return min(max(l.host.cfg.Connections, l.wanted), wire.MaxConnections)
}

// arrange decides which links carry what, moves what is elsewhere, leaves links that are not needed, and has
// more made if there are too few. It is called after every change.
func (l *loop) arrange() {
	good := l.usable()
	active := good[:min(l.keep(), len(good))]
	l.assign(active)
	for _, n := range slices.Clone(l.links) {
		if slices.Contains(active, n) || n.watch.stalled && len(active) == 0 {
			continue
		}
		switch {
		case n.leaveHeard, l.keep() == 1, n.merging != nil && n.mergedLongAgo():
			if len(active) > 0 && !active[0].watch.stalled && active[0].accepted {
				l.leave(n)
			}
		case n.merging == nil && slices.Contains(good, n):
			n.merging = time.AfterFunc(mergeTime, func() { l.post(event{kind: evArrange, link: n}) })
			n.mergeBy = time.Now().Add(mergeTime)
		}
	}
	l.judge()
	l.publish()
	l.plan()
}

func (n *link) mergedLongAgo() bool { return !time.Now().Before(n.mergeBy) }

// usable returns the links that can carry something, best first: those that are being left and those that
// are silent only if there are no others.
func (l *loop) usable() []*link {
	for _, ok := range []func(n *link) bool{
		func(n *link) bool { return !n.watch.stalled && !n.leaveSaid && !n.leaveHeard },
		func(n *link) bool { return !n.watch.stalled },
		func(*link) bool { return true },
	} {
		var out []*link
		for _, n := range l.links {
			if ok(n) {
				out = append(out, n)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// assign has everything carried by these links from now on.
func (l *loop) assign(links []*link) {
	var was []*link
	if a := l.active.Load(); a != nil {
		was = *a
	}
	first := l.current.Load()
	links = slices.Clone(links)
	var now *link
	if len(links) > 0 {
		now = links[0]
	}
	l.active.Store(&links)
	l.current.Store(now)
	if slices.Equal(was, links) && first == now {
		return
	}
	for _, n := range l.watch.known {
		if !slices.Contains(links, n) {
			l.streams.detach(n)
			for _, lane := range l.lanesOut() {
				lane.abandon(n)
			}
		}
	}
	l.watch.known = links
	l.wakeLanes()
	if now == nil {
		return
	}
	l.streams.attach(l.place)
	if first != now {
		l.counters.moves.Add(1)
		l.acks.again()
	}
	if l.closing.active { // what was said may be lost
		l.closing.said, l.closing.answered = false, false
		_ = l.advanceClose()
	}
}

// leave says that we carry nothing more on a link. It is closed when the peer has said the same.
func (l *loop) leave(n *link) {
	if !n.leaveSaid {
		n.leaveSaid = true
		n.say(closeFrame(closeDrained, ""))
		n.leaving = time.AfterFunc(leaveTime, func() { n.close(closeDrained, "") })
	}
	if n.leaveHeard {
		n.close(closeDrained, "")
	}
}

// dead removes a link that has died of err.
func (l *loop) dead(n *link, err error) error {
	l.unplace(n)
	if !l.remove(n) {
		return nil
	}
	if endsSession(err) && (n.accepted || !errors.Is(err, Limit)) {
		return l.explain(err)
	}
	l.redial.last = err
	l.arrange()
	l.watchPool()
	if c := &l.closing; len(l.links) == 0 && c.flushed && c.asked {
		return l.gracefulCause()
	}
	return nil
}

// endsSession reports whether a connection died because the peer is done with the session, rather than with
// the connection.
func endsSession(err error) bool {
	said, ok := errors.AsType[*PeerError](err)
	if !ok || said.close == 0 {
		return false
	}
	switch said.close - 1 {
	case closeDrained, closeInternal, closeTimeout:
		return false
	}
	return true
}

// stopExpiry is called when there is a connection again.
func (l *loop) stopExpiry() {
	if l.expiry != nil {
		l.expiry.Stop()
		l.expiry = nil
	}
}
