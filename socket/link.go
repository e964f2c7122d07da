package socket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
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
	dialled bool // by us

	heard atomic.Uint64 // how much authenticated traffic has come; only that it changes means something

	saying  sync.Mutex
	unsaid  []byte // control frames that wait for the writer
	writing bool   // there is a writer

	// Owned by the session's loop.
	accepted              bool // both have said Hello and Accept; until then we may only go on
	watch                 linkWatch
	loss                  lossSample
	leaveSaid, leaveHeard bool
	leaving               *time.Timer // closes it if the peer does not leave as well
	merging               *time.Timer // while more connections than wanted are kept for a moment
	mergeBy               time.Time   // when that is over
}

// rank orders the connections of a session; both ends compute the same. A later generation comes first: it
// was made to replace an earlier one. In one generation, connections dialled by the smaller key come
// first; among those, what is arbitrary but equal at both ends decides.
type rank struct {
	generation uint64
	byLarger   bool
	tie        [rankSize]byte
}

const (
	rankLabel = "EXPORTER-parley-connection-rank"
	rankSize  = 8
	// maxUnsaid bounds the bytes of control frames that wait for a peer which does not read them: some 200 of
	// the longest acknowledgements. Then the connection is taken for dead.
	maxUnsaid = 512 << 10
	// maxGeneration leaves room to count on from what a peer claims.
	maxGeneration = 1 << 62
)

func newLink(s *Session, c connection, control stream, frames *bufio.Reader, dialled bool, generation uint64) (*link, error) {
	tie, err := c.export(rankLabel, nil, rankSize)
	if err != nil {
		return nil, err
	}
	if generation > maxGeneration {
		return nil, violation(s.peer, "a connection's generation is out of range")
	}
	n := &link{connection: c, session: s, control: control, frames: frames, dialled: dialled}
	n.rank = rank{generation: generation, byLarger: dialled == (s.host.id.Compare(s.peer) > 0)}
	copy(n.rank.tie[:], tie)
	control.setPriority(priorityControl)
	return n, nil
}

// better reports whether n is to be preferred to m.
func (n *link) better(m *link) bool {
	switch {
	case n.rank.generation != m.rank.generation:
		return n.rank.generation > m.rank.generation
	case n.rank.byLarger != m.rank.byLarger:
		return !n.rank.byLarger
	}
	return bytes.Compare(n.rank.tie[:], m.rank.tie[:]) < 0
}

// start begins to receive on the link. Called once, by the session's loop.
func (n *link) start() {
	s := n.session
	for _, f := range []func(){n.readControl, n.acceptStreams, n.receiveDatagrams} {
		s.spawn(f)
	}
	context.AfterFunc(n.context(), func() { s.post(event{kind: evDead, link: n, err: context.Cause(n.context())}) })
}

// say queues a control frame; it never blocks, so the session's loop does not wait for a path that is
// silent. The writer lives only while there is something to write.
func (n *link) say(m *wire.Control) {
	n.saying.Lock()
	defer n.saying.Unlock()
	b, err := wire.AppendControl(n.unsaid, m)
	if err != nil || len(b) > maxUnsaid {
		n.close(closeInternal, "")
		return
	}
	n.unsaid = b
	if !n.writing {
		n.writing = n.session.spawn(n.flush)
	}
}

// flush writes what say has queued. Closing the connection ends it.
func (n *link) flush() {
	var b []byte
	for {
		n.saying.Lock()
		if len(n.unsaid) == 0 {
			n.writing = false
			if cap(b) <= 4<<10 {
				n.unsaid = b[:0]
			}
			n.saying.Unlock()
			return
		}
		b, n.unsaid = n.unsaid, b[:0]
		n.saying.Unlock()
		if _, err := n.control.Write(b); err != nil {
			n.close(closeInternal, "")
			return
		}
	}
}

func (n *link) readControl() {
	for {
		f, err := wire.ReadControl(n.frames)
		if err == nil {
			n.heard.Add(1)
			n.session.post(event{kind: evFrame, link: n, frame: f})
			continue
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			err = errControlEnded
		}
		n.broken("control stream", err)
		return
	}
}

var errControlEnded = &wire.SyntaxError{Offset: -1, Reason: wire.UnexpectedData}

// broken handles the failure of a stream that lives as long as its connection, or moves with it. If the
// connection has died under the stream, closing it does nothing and its own cause of death counts; everything
// else breaks the protocol, and ends the session.
func (n *link) broken(what string, err error) {
	var syntax *wire.SyntaxError
	said, _ := errors.AsType[*PeerError](err)
	_, user := errors.AsType[*ResetError](err) // with a code that only the application's streams have
	switch {
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errLaneNumber), said != nil && said.reset, user:
		n.session.post(event{kind: evLost, err: violation(n.session.peer, what+": "+err.Error())})
	default:
		n.close(closeInternal, "")
	}
}

// preambleTimeout is how long a peer may take to say what a stream is for (threat T15). Then the connection is
// closed: to refuse the stream would lose what is sent on it.
const preambleTimeout = 10 * time.Second

func (n *link) acceptStreams() {
	for {
		st, err := n.accept(n.context())
		if err != nil {
			return
		}
		n.heard.Add(1)
		if !n.session.spawn(func() { n.receive(st) }) {
			return
		}
	}
}

// receive reads what a stream is for and hands it on.
func (n *link) receive(st stream) {
	_ = st.setReadDeadline(time.Now().Add(preambleTimeout))
	p, err := wire.ReadPreamble(byteReader{st})
	_ = st.setReadDeadline(time.Time{})
	var syntax *wire.SyntaxError
	switch {
	case errors.As(err, &syntax):
		n.session.post(event{kind: evLost, err: violation(n.session.peer, "malformed stream preamble: "+err.Error())})
		refuse(st, resetCanceled)
		return
	case isTimeout(err): // an honest peer's may be held up by an outage: what it carries goes on elsewhere
		n.close(closeTimeout, "")
		return
	case err != nil: // whoever still needs it opens another: its writer may have been done before we were told what it is
		refuse(st, resetMoved)
		return
	case p.Kind == wire.StreamLane:
		n.receiveLane(st, p)
		return
	case p.Kind == wire.StreamControl:
		refuse(st, resetCanceled)
		err = violation(n.session.peer, "a second control stream")
	default:
		err = n.session.streams.receive(n, st, p)
	}
	if err != nil {
		n.session.post(event{kind: evLost, err: err})
	}
}

// refuse ends a stream of the peer's in both directions.
func refuse(st stream, code resetCode) {
	st.cancelRead(code)
	st.cancelWrite(code)
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
