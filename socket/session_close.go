package socket

import (
	"context"
	"errors"
	"strconv"
	"time"

	"parley/wire"
)

// closeWait bounds each step of a graceful close that waits for the peer.
const closeWait = 10 * time.Second

var errGraceful = errors.New("closed by us")

// closeAlone is how long a session that has delivered everything, and has no connection, tries to make one
// in order to say good-bye.
const closeAlone = 2 * time.Second

// Close ends the session gracefully: new sends fail at once, everything accepted before is delivered and
// acknowledged by the peer (C5), what was written to byte streams included, and both sides' connections end.
// It returns nil then, and otherwise an error that says what is not known to have arrived. It waits until ctx
// ends, or for Config.SendTimeout if ctx has no deadline; then the session is cut off. A stream whose reader
// does not read holds it up: reset it first.
func (s *Session) Close(ctx context.Context) error {
	ctx, cancel := s.withSendTimeout(ctx)
	defer cancel()
	select {
	case s.events <- event{kind: evClose}:
	case <-s.life.Done():
	case <-ctx.Done():
	}
	select {
	case <-s.closed:
	case <-ctx.Done():
		err := &Error{Code: Timeout, Op: "close", Peer: s.peer, Err: s.undelivered()}
		s.end(err)
		<-s.closed
		return err
	}
	if err := s.Err(); !isClose(err, closeGraceful) {
		return err
	}
	return nil
}

// beginClose starts to flush.
func (l *loop) beginClose(local bool) error {
	c := &l.closing
	c.local = c.local || local
	c.asked = c.asked || !local
	if l.State() == StateHandshaking {
		return l.gracefulCause()
	}
	if c.active {
		return l.advanceClose()
	}
	c.active = true
	l.enter(StateClosing)
	close(l.closingc)
	l.host.notify(Event{Kind: Closing, Session: l.Session})
	flushed := l.sends.close() // first, so that every lane there will ever be is among those below
	for _, lane := range l.lanesOut() {
		lane.finish()
	}
	drained := l.streams.drained()
	l.spawn(func() {
		for _, ready := range []<-chan struct{}{flushed, drained} {
			select {
			case <-ready:
			case <-l.life.Done():
				return
			}
		}
		l.post(event{kind: evFlushed})
	})
	l.plan()
	return nil
}

// peerClose handles a Close frame: for one link that the peer leaves, or for the session.
func (l *loop) peerClose(n *link, f *wire.Close) error {
	switch closeCode(f.GetReason()) {
	case closeDrained:
		n.leaveHeard = true
		if n.leaveSaid {
			n.close(closeDrained, "")
			return nil
		}
		l.arrange()
		return nil
	case closeGraceful:
		return l.beginClose(false)
	}
	return violation(l.peer, "Close for reason "+strconv.FormatUint(uint64(f.GetReason()), 10))
}

// advanceClose says what is due once everything of ours has been delivered.
func (l *loop) advanceClose() error {
	c, on := &l.closing, l.current.Load()
	if !c.flushed {
		return nil
	}
	if on == nil {
		if c.over == nil {
			c.over, c.alone = time.NewTimer(closeAlone), true
		}
		return nil
	}
	if c.alone { // no longer: the peer may have much to deliver before it answers
		c.over.Stop()
		c.over, c.alone = nil, false
	}
	if c.local && !c.said {
		c.said = true
		on.say(closeFrame(closeGraceful, ""))
	}
	if c.asked && !c.answered {
		c.answered = true
		on.say(&wire.Control{Kind: &wire.ControlClosed{Closed: &wire.Closed{}}})
	}
	if c.over == nil && c.asked { // else the context of Close bounds it
		c.over = time.NewTimer(closeWait)
	}
	return nil
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
	alone    bool // over runs because there is no connection
}

// gracefulCause is what a session ends of after a graceful close, on either side.
func (l *loop) gracefulCause() error {
	if l.closing.local {
		return &Error{Code: Closed, Op: "session", Peer: l.peer, Err: errGraceful, close: closeGraceful + 1}
	}
	return &PeerError{Code: Closed, Op: "session", Peer: l.peer, close: closeGraceful + 1}
}

// isClose reports whether err is the peer's, or our own, closing of a connection with this code.
func isClose(err error, code closeCode) bool {
	var mine *Error
	var theirs *PeerError
	switch {
	case errors.As(err, &theirs):
		return theirs.close == code+1
	case errors.As(err, &mine):
		return mine.close == code+1
	}
	return false
}

// overdue ends a session whose peer did not answer its good-bye. Without a connection that is no failure: the
// peer has acknowledged everything.
func (l *loop) overdue() error {
	if l.closing.flushed && len(l.links) == 0 {
		return l.gracefulCause()
	}
	return l.explain(&Error{Code: Timeout, Op: "close", Peer: l.peer, Err: errors.New("the peer did not answer")})
}

func closeFrame(reason closeCode, message string) *wire.Control {
	return &wire.Control{Kind: &wire.ControlClose{Close: &wire.Close{Reason: uint32(reason), Message: message}}}
}

func pongFrame(p *wire.Ping, now time.Time) *wire.Control {
	return &wire.Control{Kind: &wire.ControlPong{Pong: &wire.Pong{
		Nonce: p.GetNonce(), SendTime: p.GetSendTime(), ReceiveTime: uint64(max(now.UnixMicro(), 0)),
	}}}
}
