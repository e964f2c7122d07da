package socket

import (
	"context"
	"errors"
	"time"

	"parley/wire"
)

// event is what the goroutine that owns a session's state is told. Each kind says who sends it.
type event struct {
	kind   eventKind
	link   *link
	err    error         // evDead, evLost, evTried
	frame  *wire.Control // evFrame
	attach *joining      // evAttach
	try    *attempt      // evTried
	do     func(l *loop) // evDo
}

type eventKind uint8

const (
	evAttach  eventKind = iota // a handshake succeeded on link
	evDead                     // link's connection died of err
	evFrame                    // frame arrived on link's control stream
	evClose                    // Close was called
	evFlushed                  // everything accepted before closing has been acknowledged
	evTried                    // an attempt to connect again has ended with err
	evKick                     // the network may have changed, or somebody waits for a connection
	evArrange                  // link has been kept beside others for long enough
	evDo                       // do something to the state; for tests
	evLost                     // the session cannot go on: err
)

// joining is what a handshake has brought.
type joining struct {
	offer offer // the peer's; nil if its Accept has yet to come
	reply chan error
}

// post hands an event to the loop, or drops it when the session is over.
func (s *Session) post(e event) {
	select {
	case s.events <- e:
	case <-s.life.Done():
	}
}

// loop is the state that only Session.run touches.
type loop struct {
	*Session
	links   []*link // best first
	closing closingPhase
	watch   watch
	redial  redial
	pool    pool
	wanted  int         // how many connections the peer wants
	expiry  *time.Timer // of the session without a connection; nil while it has one
}

// run owns the session's state from its making to its end.
func (s *Session) run() {
	l := &loop{Session: s, wanted: 1}
	var cause error
	for cause == nil {
		select {
		case e := <-s.events:
			cause = l.handle(e)
		case <-s.watchc:
			l.startWatch()
		case <-timerOf(l.watch.timer):
			l.tick()
		case <-timerOf(l.redial.timer):
			l.try()
		case <-timerOf(l.pool.timer):
			l.checkPool()
		case <-timerOf(l.expiry):
			cause = l.explain(&Error{Code: Timeout, Op: "session", Peer: s.peer, Err: errors.New("no connection for " + s.host.cfg.Retention.String())})
		case <-timerOf(l.closing.over):
			cause = l.overdue()
		case <-s.life.Done():
			cause = context.Cause(s.life)
		}
	}
	l.finish(cause)
}

// timerOf is a channel that never fires if there is no timer.
func timerOf(t *time.Timer) <-chan time.Time {
	if t == nil {
		return nil
	}
	return t.C
}

// handle returns a non-nil cause when the session is over.
func (l *loop) handle(e event) error {
	switch e.kind {
	case evAttach:
		err := l.attach(e.link, e.attach)
		e.attach.reply <- err
		if errors.Is(err, Protocol) {
			return err
		}
	case evDead:
		return l.dead(e.link, e.err)
	case evFrame:
		return l.frame(e.link, e.frame)
	case evClose:
		return l.beginClose(true)
	case evFlushed:
		l.closing.flushed = true
		return l.advanceClose()
	case evTried:
		return l.tried(e.try, e.err)
	case evKick:
		l.kick()
	case evArrange:
		l.arrange()
	case evLost:
		return l.explain(e.err)
	case evDo:
		e.do(l)
	}
	return nil
}

// explain is the session's cause of death when it ends of err.
func (l *loop) explain(err error) error {
	c := &l.closing
	if c.flushed && (c.asked || isClose(err, closeGraceful)) { // both sides have said that everything is delivered
		return l.gracefulCause()
	}
	return err
}

// frame handles a frame of the control stream.
func (l *loop) frame(n *link, f *wire.Control) error {
	if !n.accepted {
		return l.accept(n, f.GetAccept())
	}
	switch k := f.GetKind().(type) {
	case *wire.ControlAck:
		if err := l.acknowledged(k.Ack.GetReceived()); err != nil {
			return err
		}
		return l.streams.counts(k.Ack.GetStreams())
	case *wire.ControlClose:
		return l.peerClose(n, k.Close)
	case *wire.ControlClosed:
		if !l.closing.said {
			return violation(l.peer, "Closed without a Close")
		}
		return l.gracefulCause()
	case *wire.ControlPing:
		n.say(pongFrame(k.Ping, time.Now()))
		return nil
	case *wire.ControlPong:
		l.pong(n, k.Pong)
		return nil
	}
	return violation(l.peer, "a control frame that belongs elsewhere")
}

// finish ends everything, in order: no more sends, connections closed, receivers done, down.
func (l *loop) finish(cause error) {
	l.end(cause)
	l.enter(StateClosed)
	for _, t := range []*time.Timer{l.closing.over, l.expiry, l.watch.timer, l.redial.timer, l.pool.timer} {
		if t != nil {
			t.Stop()
		}
	}
	l.acks.stop()
	l.redial.cancelAll()
	code, message := farewell(cause)
	for _, n := range l.links {
		n.stopTimers()
		n.close(code, message)
	}
	l.sends.close()
	l.failLanes()
	<-l.streams.fail()
	<-l.workers.close()
	l.publish()
	l.host.forget(l.Session, context.Cause(l.life))
	close(l.closed)
	if said, ok := errors.AsType[*PeerError](cause); ok && said.Code == StateLost && l.asked.Load() {
		pause := max(l.host.cfg.ReconnectMin-time.Since(l.made), 0) // who loses every session is not dialled without pause
		l.host.goServe(func() { l.host.renew(pause, l.peer, l.addresses.texts()) })
	}
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
