package socket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"parley/peer"
	"parley/wire"
)

// link is a connection that belongs to a session, with its control stream.
type link struct {
	connection
	session *Session
	control stream
	frames  *bufio.Reader // of control
	rank    rank

	saying sync.Mutex // one writer of control at a time

	mu       sync.Mutex
	draining bool // we open nothing more here
	outgoing int  // streams that we opened and that are not complete in both directions
	incoming int  // the same for the peer's; the control stream counts in neither

	opened, accepted, theirs uint64 // streams ever opened by us, accepted from the peer, and opened by the peer

	// Owned by the session's loop.
	drainSaid, drainHeard bool
	drainDone, drainOver  bool // we have all of the peer's streams and have said so; the peer has all of ours
}

// rank orders the connections of a session; both ends compute the same. Connections dialled by the
// smaller key come first; among those, what is arbitrary but equal at both ends decides.
type rank struct {
	byLarger bool
	tie      [rankSize]byte
}

const (
	rankLabel = "EXPORTER-parley-connection-rank"
	rankSize  = 8
	// controlWriteTimeout bounds the writing of a control frame: a peer that does not read them is gone.
	controlWriteTimeout = 5 * time.Second
)

func newLink(s *Session, c connection, control stream, frames *bufio.Reader, dialled bool) (*link, error) {
	tie, err := c.export(rankLabel, nil, rankSize)
	if err != nil {
		return nil, err
	}
	n := &link{connection: c, session: s, control: control, frames: frames}
	n.rank.byLarger = dialled == (s.host.id.Compare(s.peer) > 0)
	copy(n.rank.tie[:], tie)
	control.setPriority(priorityControl)
	return n, nil
}

// better reports whether n is to be preferred to m.
func (n *link) better(m *link) bool {
	if n.rank.byLarger != m.rank.byLarger {
		return !n.rank.byLarger
	}
	return bytes.Compare(n.rank.tie[:], m.rank.tie[:]) < 0
}

// begin counts a stream that we are about to open, unless the link is being left.
func (n *link) begin() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.draining {
		return false
	}
	n.outgoing++
	return true
}

// complete counts down a stream of ours that has ended in both directions.
func (n *link) complete() {
	n.mu.Lock()
	n.outgoing--
	drained := n.draining && n.outgoing == 0
	n.mu.Unlock()
	if drained {
		n.session.post(event{kind: evUnused, link: n})
	}
}

func (n *link) beginIncoming() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.incoming++
	n.accepted++
}

func (n *link) openedOne() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.opened++
}

func (n *link) openedCount() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.opened
}

// heard notes how many streams the peer opened in all.
func (n *link) heard(streams uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.theirs = streams
}

// receivedAll reports whether every stream that the peer opened has come and is complete.
func (n *link) receivedAll() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.accepted == n.theirs && n.incoming == 0
}

func (n *link) undrain() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.draining = false
}

func (n *link) completeIncoming() {
	n.mu.Lock()
	n.incoming--
	idle := n.draining && n.incoming == 0
	n.mu.Unlock()
	if idle {
		n.session.post(event{kind: evUnused, link: n})
	}
}

// drain forbids new streams of ours.
func (n *link) drain() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.draining = true
}

// drained reports that we are leaving and that all our streams are complete: the peer has confirmed what
// they carried.
func (n *link) drained() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.draining && n.outgoing == 0
}

func (n *link) unused() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.outgoing+n.incoming == 0
}

// start begins to receive on the link. Called once, by the session's loop.
func (n *link) start() {
	s := n.session
	for _, f := range []func(){n.readControl, n.acceptStreams, n.receiveDatagrams} {
		s.handing.Go(f)
	}
	context.AfterFunc(n.context(), func() { s.post(event{kind: evDead, link: n, err: context.Cause(n.context())}) })
}

// say sends a control frame. A frame that cannot be sent kills the connection.
func (n *link) say(m *wire.Control) {
	n.saying.Lock()
	defer n.saying.Unlock()
	b, err := wire.AppendControl(nil, m)
	if err == nil {
		_ = n.control.setWriteDeadline(time.Now().Add(controlWriteTimeout))
		stop := context.AfterFunc(n.session.life, func() { _ = n.control.setWriteDeadline(time.Unix(1, 0)) })
		defer stop()
		_, err = n.control.Write(b)
	}
	if err != nil {
		n.close(closeInternal, "")
	}
}

func (n *link) readControl() {
	for {
		f, err := wire.ReadControl(n.frames)
		if err == nil {
			n.session.post(event{kind: evFrame, link: n, frame: f})
			continue
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			n.session.post(event{kind: evEnded, link: n})
			return
		}
		n.broken("control stream", err)
		return
	}
}

// broken handles the failure of a stream that lives as long as its connection. Bytes that break the
// protocol end the session; so does an end or a reset. If the connection has died under the stream,
// closing it does nothing and its own cause of death counts.
func (n *link) broken(what string, err error) {
	var syntax *wire.SyntaxError
	switch {
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errLaneNumber), errors.Is(err, errLaneStalled):
		n.session.post(event{kind: evLost, err: violation(n.session.peer, what+": "+err.Error())})
	default:
		n.close(closeProtocol, what+" ended")
	}
}

// preambleTimeout is how long a peer may take to say what a stream is for (threat T15).
const preambleTimeout = 10 * time.Second

func (n *link) acceptStreams() {
	for {
		st, err := n.accept(n.context())
		if err != nil {
			return
		}
		n.beginIncoming()
		n.session.handing.Go(func() { n.receive(st) })
	}
}

// receive reads what a stream is for and hands it on. Whoever it is handed to completes it.
func (n *link) receive(st stream) {
	_ = st.setReadDeadline(time.Now().Add(preambleTimeout))
	p, err := wire.ReadPreamble(byteReader{st})
	_ = st.setReadDeadline(time.Time{})
	var syntax *wire.SyntaxError
	switch {
	case errors.As(err, &syntax):
		n.session.post(event{kind: evLost, err: violation(n.session.peer, "malformed stream preamble: "+err.Error())})
		fallthrough
	case err != nil:
		n.refuse(st, resetCanceled)
	case p.Kind == wire.StreamLane:
		n.receiveLane(st, p)
	case p.Kind == wire.StreamBlock:
		n.receiveLarge(st, p)
	case p.Kind == wire.StreamBytes:
		n.receiveBytes(st)
	default:
		n.session.post(event{kind: evLost, err: violation(n.session.peer, "a second control stream")})
		n.refuse(st, resetCanceled)
	}
}

// refuse ends a stream of the peer's in both directions.
func (n *link) refuse(st stream, code resetCode) {
	st.cancelRead(code)
	st.cancelWrite(code)
	n.completeIncoming()
}

// byteReader reads single bytes from a stream, never more than asked for.
type byteReader struct{ r io.Reader }

func (b byteReader) ReadByte() (byte, error) {
	var p [1]byte
	for {
		n, err := b.r.Read(p[:])
		switch {
		case n == 1:
			return p[0], nil
		case err != nil:
			return 0, err
		}
	}
}

func violation(p peer.ID, what string) error {
	return &Error{Code: Protocol, Op: "session", Peer: p, Err: errors.New(what)}
}
