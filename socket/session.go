package socket

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/pace"
	"parley/peer"
	"parley/wire"
)

// Session is the channel to one peer. It has no preferred side: after it is established nothing depends
// on who dialled (C2). All methods are safe for concurrent use.
type Session struct {
	host  *Host
	peer  peer.ID
	local uint64 // our incarnation: names this session on our side and in our message ids

	state       atomic.Int32
	remote      atomic.Uint64   // the peer's incarnation; 0 until known, then constant
	established chan struct{}   // closed when StateEstablished is reached
	closingc    chan struct{}   // closed when StateClosing is reached
	closed      chan struct{}   // closed when everything is over, the receiver's down included
	life        context.Context //nolint:containedctx // the session's life; its cause is Err
	end         context.CancelCauseFunc

	events    chan event              // to the goroutine that owns the state below
	watchc    chan struct{}           // holds a token when something waits to be acknowledged
	watching  atomic.Bool             // the links are being watched
	active    atomic.Pointer[[]*link] // where we send, best first
	current   atomic.Pointer[link]    // the best of them, where control frames go; nil without a connection
	condition atomic.Int32
	workers   gate // goroutines of the session
	sends     gate // what must end before a graceful close: lane writers and sends of large blocks

	lanesMu  sync.Mutex
	outLanes [wire.MaxLanes]*outLane
	inLanes  [wire.MaxLanes]*inLane
	narrow   uint64                  // how many lanes we sent on before there were more; 0 if there are not
	barriers [wire.MaxLanes]*barrier // what the lanes wait for that split off from each of those
	acks     acks
	streams  *streams
	counters sessionCounters

	addresses  addresses
	generation atomic.Uint64 // of the latest connection
	asked      atomic.Bool   // our application has dialled
	callers    atomic.Int32  // how many wait for a connection
	waitersMu  sync.Mutex
	waiters    chan struct{} // closed when the session has a working connection; nil while it has

	incoming     chan *Stream  // streams waiting for AcceptStream
	bestEffort   chan []byte   // blocks for sendDatagrams
	laneReads    chan struct{} // holds a token for each stream of a lane that is being read
	datagrams    sync.Once     // starts it
	largeMemory  budget        // for large blocks being received
	replay       replay        // what is held to be sent again
	pace         *pace.Limiter
	peerMaxBlock atomic.Int64  // the longest block the peer takes; 0 until established
	lanes        atomic.Uint64 // how many lanes we send on: our setting, or fewer if the peer takes fewer
	peerLanes    atomic.Uint64 // how many lanes the peer takes
	dropped      atomic.Uint64 // best-effort blocks
	duplicates   atomic.Uint64 // blocks that came once more after a move
	outages      atomic.Uint64 // how often the session was down
	downSince    atomic.Int64  // in nanoseconds since 1970
	announced    bool          // up has been called; guarded by host.receiverMu
	made         time.Time     // when; only the loop reads it
	holds        int           // handshakes under way; guarded by host.mu
}

// maxIncomingStreams is how many streams may wait for AcceptStream; further ones are refused.
const maxIncomingStreams = 128

func newSession(h *Host, id peer.ID, incarnation uint64) *Session {
	s := &Session{
		host: h, peer: id, local: incarnation,
		established: make(chan struct{}), closingc: make(chan struct{}), closed: make(chan struct{}),
		events:      make(chan event),
		watchc:      make(chan struct{}, 1),
		incoming:    make(chan *Stream, maxIncomingStreams),
		bestEffort:  make(chan []byte, maxBestEffort),
		laneReads:   make(chan struct{}, maxLaneReads),
		largeMemory: budget{limit: int64(max(h.cfg.MaxBlockMemory/4, h.cfg.MaxBlock)), parent: &h.largeMemory},
	}
	s.made = time.Now()
	s.pace = newPace(h.pace, 0)
	s.acks.session = s
	s.replay.host, s.replay.limit = &h.replay, h.replay.limit/replayPart
	s.enter(StateHandshaking)
	s.life, s.end = context.WithCancelCause(context.Background())
	s.streams = newStreams(s)
	go s.run()
	return s
}

// Peer is the key at the other end.
func (s *Session) Peer() peer.ID { return s.peer }

// Incarnation is this side's number for the session: not zero, and rising from session to session, so that
// of two the later is known. It is the clock in microseconds with the last ten bits random: a name, not a
// secret.
func (s *Session) Incarnation() uint64 { return s.local }

// RemoteIncarnation is the other side's number; 0 until the session is established.
func (s *Session) RemoteIncarnation() uint64 { return s.remote.Load() }

// ID is a text that is equal at both ends and unique to this session (C3): the two incarnations, the
// smaller key's first. It is a name, not a secret. Empty until the session is established.
func (s *Session) ID() string {
	r := s.remote.Load()
	if r == 0 {
		return ""
	}
	if s.host.id.Compare(s.peer) < 0 {
		return hex64(s.local) + "-" + hex64(r)
	}
	return hex64(r) + "-" + hex64(s.local)
}

// State is the state right now.
func (s *Session) State() State { return State(s.state.Load()) }

// up reports whether the session is established or closing.
func (s *Session) up() bool { return s.State() == StateEstablished || s.State() == StateClosing }

// Done is closed when the session is over and nothing of it will be handed up any more.
func (s *Session) Done() <-chan struct{} { return s.closed }

// Err is nil while the session lives, then why it ended: an *Error or *PeerError; code Closed after a
// graceful end.
func (s *Session) Err() error {
	if s.life.Err() == nil {
		return nil
	}
	return context.Cause(s.life)
}

// spawn runs f as one of the session's goroutines, unless the session is over. The session's end waits for it.
func (s *Session) spawn(f func()) bool {
	if !s.workers.enter() {
		return false
	}
	go func() {
		defer s.workers.leave()
		f()
	}()
	return true
}

// setDown and setUp close and open the way for those who wait for a working connection.
func (s *Session) setDown() {
	s.waitersMu.Lock()
	defer s.waitersMu.Unlock()
	if s.waiters == nil {
		s.waiters = make(chan struct{})
	}
}

func (s *Session) setUp() {
	s.waitersMu.Lock()
	defer s.waitersMu.Unlock()
	if s.waiters != nil {
		close(s.waiters)
		s.waiters = nil
	}
}

// awaitUp waits for a working connection, and has one made soon.
func (s *Session) awaitUp(ctx context.Context) error {
	s.callers.Add(1)
	defer s.callers.Add(-1)
	for first := true; ; first = false {
		s.waitersMu.Lock()
		wait := s.waiters
		s.waitersMu.Unlock()
		if wait == nil {
			return nil
		}
		if first {
			s.post(event{kind: evKick})
		}
		select {
		case <-wait:
		case <-s.life.Done():
			return s.fail("dial")
		case <-ctx.Done():
			return ctxError(ctx, "dial", s.peer)
		}
	}
}

// RemoteAddr is the address the session currently sends to, or nil while it has no connection. It may change at
// any time and says nothing about who the peer is.
func (s *Session) RemoteAddr() net.Addr {
	if l := s.current.Load(); l != nil {
		return l.remoteAddr()
	}
	return nil
}

// Dropped is how many best-effort blocks were dropped on this side because the connection could not
// take them at once.
func (s *Session) Dropped() uint64 { return s.dropped.Load() }

// fail returns the error of an operation on a session that has ended or is closing.
func (s *Session) fail(op string) error {
	switch cause := s.Err().(type) { //nolint:errorlint // Err returns these types themselves
	case *PeerError:
		return &PeerError{Code: cause.Code, Op: op, Peer: s.peer, Message: cause.Message}
	case *Error:
		return &Error{Code: cause.Code, Op: op, Peer: s.peer, Err: cause.Err}
	}
	return &Error{Code: Closed, Op: op, Peer: s.peer}
}

// usable returns nil while new things may be sent.
func (s *Session) usable(op string) error {
	if s.State() == StateEstablished {
		return nil
	}
	return s.fail(op)
}

// bind records the peer's incarnation, or reports whether it is the one already known.
func (s *Session) bind(remote uint64) bool {
	return s.remote.CompareAndSwap(0, remote) || s.remote.Load() == remote
}

func hex64(n uint64) string {
	const digits = 16
	h := strconv.FormatUint(n, 16)
	return "0000000000000000"[:digits-len(h)] + h
}

// Host is the host the session belongs to.
func (s *Session) Host() *Host { return s.host }
