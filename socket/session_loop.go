package socket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/wire"
)

// event is what the goroutine that owns a session's state is told. Each kind says who sends it.
type event struct {
	kind  eventKind
	link  *link
	err   error         // evDead, evLost
	frame *wire.Control // evFrame
	reply chan error    // evAttach
	count chan int      // evCount
}

type eventKind uint8

const (
	evAttach  eventKind = iota // a handshake succeeded on link
	evDead                     // link's connection died of err
	evFrame                    // frame arrived on link's control stream
	evEnded                    // the peer has ended link's control stream
	evUnused                   // link has no open streams any more
	evClose                    // Close was called
	evFlushed                  // everything accepted before closing has been delivered
	evCount                    // how many links are there? for tests and statistics
	evLost                     // something accepted could not be delivered, or the peer broke a rule: err
)

// post hands an event to the loop, or drops it when the session is over.
func (s *Session) post(e event) {
	select {
	case s.events <- e:
	case <-s.life.Done():
	}
}

// closingPhase is how far a graceful close has come.
type closingPhase struct {
	active   bool
	local    bool // we asked
	flushed  bool // ours is delivered
	said     bool // our Close has been sent
	asked    bool // the peer's Close has come
	answered bool // our Closed has been sent
	over     *time.Timer
}

// loop is the state that only Session.run touches.
type loop struct {
	*Session
	links   []*link
	closing closingPhase
}

// run owns the session's state from its making to its end.
func (s *Session) run() {
	l := &loop{Session: s}
	var cause error
	for cause == nil {
		var over <-chan time.Time
		if l.closing.over != nil {
			over = l.closing.over.C
		}
		select {
		case e := <-s.events:
			cause = l.handle(e)
		case <-over:
			cause = l.explain(&Error{Code: Timeout, Op: "close", Peer: s.peer, Err: errors.New("the peer did not answer")})
		case <-s.life.Done():
			cause = context.Cause(s.life)
		}
	}
	l.finish(cause)
}

// handle returns a non-nil cause when the session is over.
func (l *loop) handle(e event) error {
	switch e.kind {
	case evAttach:
		err := l.attach(e.link)
		e.reply <- err
		return nil
	case evDead:
		return l.dead(e.link, e.err)
	case evFrame:
		return l.frame(e.link, e.frame)
	case evEnded:
		if !e.link.drainHeard {
			return violation(l.peer, "control stream ended")
		}
		e.link.drainOver = true
		l.maybeDrained(e.link)
		return nil
	case evUnused:
		l.maybeDrained(e.link)
		return nil
	case evClose:
		return l.beginClose(true)
	case evFlushed:
		l.closing.flushed = true
		return l.advanceClose()
	case evLost:
		return l.explain(e.err)
	case evCount:
		e.count <- len(l.links)
	}
	return nil
}

// attach adds a link whose handshake is complete. The first one establishes the session.
func (l *loop) attach(n *link) error {
	if l.State() > StateClosing {
		return &Error{Code: Closed, Op: "attach", Peer: l.peer}
	}
	if len(l.links) >= maxLinks {
		return &Error{Code: Limit, Op: "attach", Peer: l.peer, Err: fmt.Errorf("more than %d connections in one session", maxLinks)}
	}
	l.links = append(l.links, n)
	first := l.State() == StateHandshaking
	if first {
		l.current.Store(n)
		l.state.Store(int32(StateEstablished))
		l.host.announce(l.Session)
		close(l.established)
	}
	n.admitted()
	n.start()
	if l.State() == StateEstablished && !first { // while closing it only receives: the peer may have moved there
		l.choose()
	}
	return nil
}

// choose makes the best link the one we send on, and tells the peer of every other that we will open
// nothing more there. Both sides rank alike, so both come to the same choice.
// It reports whether there is one: a link of which we have said that we open nothing more there is none.
func (l *loop) choose() bool {
	var best *link
	for _, n := range l.links {
		if !n.drainSaid && (best == nil || n.better(best)) {
			best = n
		}
	}
	if best == nil {
		return false
	}
	best.undrain()
	if l.current.Swap(best) != best {
		l.wakeLanes()
	}
	for _, n := range l.links {
		if n != best {
			n.drain()
			l.maybeDrained(n)
		}
	}
	return true
}

// maybeDrained tells the peer, once the peer has confirmed everything we sent on a link that we leave,
// and closes the link when the peer has said the same: then nothing can be lost.
func (l *loop) maybeDrained(n *link) {
	if !n.drainSaid && n.drained() {
		n.drainSaid = true
		n.say(drainedFrame(n.openedCount()))
	}
	if n.drainSaid && n.drainHeard && !n.drainDone && n.receivedAll() {
		n.drainDone = true
		_ = n.control.closeWrite() // I have all of yours
	}
	if n.drainDone && n.drainOver {
		n.close(closeDrained, "")
	}
}

// dead removes a link. Its death ends the session if something was in flight on it, or if it was the last.
func (l *loop) dead(n *link, err error) error {
	known := false
	for i, x := range l.links {
		if x == n {
			l.links = append(l.links[:i], l.links[i+1:]...)
			known = true
			break
		}
	}
	if !known {
		return nil
	}
	drained := n.drainDone && (n.drainOver || isClose(err, closeDrained))
	if len(l.links) == 0 || !drained && !n.unused() {
		return l.explain(err)
	}
	if l.current.Load() == n && !l.choose() {
		return l.explain(err)
	}
	return nil
}

// explain is the session's cause of death when a connection died of err.
func (l *loop) explain(err error) error {
	c := &l.closing
	if c.flushed && (c.asked || isClose(err, closeGraceful)) { // both sides have said that everything is delivered
		return l.gracefulCause()
	}
	return err
}

// frame handles a frame of the control stream.
func (l *loop) frame(n *link, f *wire.Control) error {
	switch k := f.GetKind().(type) {
	case *wire.ControlClose:
		return l.peerClose(n, k.Close)
	case *wire.ControlClosed:
		if !l.closing.said {
			return violation(l.peer, "Closed without a Close")
		}
		return l.gracefulCause()
	case *wire.ControlPing:
		if !n.drainDone { // else our side of the control stream has ended
			n.say(pongFrame(k.Ping, time.Now()))
		}
		return nil
	case *wire.ControlPong:
		return nil
	}
	return violation(l.peer, "a control frame that belongs elsewhere")
}

// finish ends everything, in order: no more sends, connections closed, receivers done, down.
func (l *loop) finish(cause error) {
	l.state.Store(int32(StateClosed))
	l.end(cause)
	if l.closing.over != nil {
		l.closing.over.Stop()
	}
	code, message := farewell(cause)
	for _, n := range l.links {
		n.close(code, message)
	}
	l.sends.close()
	l.failLanes()
	l.handing.Wait()
	l.host.forget(l.Session, context.Cause(l.life))
	close(l.closed)
}

// farewell is what the peer is told when the session ends of cause.
func farewell(cause error) (closeCode, string) {
	var mine *Error
	switch {
	case isClose(cause, closeGraceful):
		return closeGraceful, ""
	case errors.Is(cause, Superseded):
		return closeSuperseded, "a later session exists"
	case !errors.As(cause, &mine):
		return closeAborted, "" // the peer said it first
	}
	message := ""
	if mine.Err != nil && (mine.Code == Protocol || mine.Code == Limit) {
		message = clip(mine.Err.Error())
	}
	return farewellOf(cause), message
}
