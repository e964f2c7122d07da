package socket

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"iter"
	"net"
	"slices"
	"sync"
	"time"

	"parley/internal/pace"
	"parley/peer"
)

// Host is one key on one socket: it listens, dials, and holds the sessions (C13). All methods are safe
// for concurrent use.
type Host struct {
	cfg     Config
	id      peer.ID
	carrier carrier
	prover  *prover

	life    context.Context //nolint:containedctx // the host's life
	end     context.CancelFunc
	serving sync.WaitGroup // goroutines of the host itself

	mu          sync.Mutex
	closed      bool
	sessions    map[peer.ID]*Session
	incarnation uint64 // the last one given out
	observers   []*observer
	counters    hostCounters // part of it

	largeMemory budget
	replay      budget         // what is held for peers to be sent again
	redials     chan struct{}  // a token for each attempt to connect again
	spreader    *pace.Spreader // of SendAll
	services    services
	pace        *pace.Limiter

	receiverMu sync.Mutex
	receiver   receiver      // constant once attached is closed
	attached   chan struct{} // closed by Attach
}

// Listen makes a host and starts to accept. The error is an *Error: Refused if the address cannot be
// bound, and why.
func Listen(cfg Config) (*Host, error) {
	cfg, err := cfg.normalize()
	if err != nil {
		return nil, err
	}
	cert, err := selfSigned(cfg.Key)
	if err != nil {
		return nil, err
	}
	var pc net.PacketConn
	if cfg.PacketConn != nil {
		pc = wrapPacketConn(cfg.PacketConn)
	} else if pc, err = listenUDP(&cfg); err != nil {
		return nil, err
	}
	quic, err := newQUIC(pc, cert, &cfg)
	if err != nil {
		_ = pc.Close()
		return nil, err
	}
	h := &Host{
		cfg: cfg, id: cfg.Key.ID(), carrier: quic, prover: newProver(cfg.NetworkSecret),
		sessions: map[peer.ID]*Session{}, attached: make(chan struct{}),
		largeMemory: budget{limit: int64(cfg.MaxBlockMemory)},
		replay:      budget{limit: int64(cfg.MaxReplay)},
		redials:     make(chan struct{}, maxRedials),
		spreader:    pace.NewSpreader(cfg.SpreadRate),
		pace:        newPace(nil, cfg.Rate),
	}
	h.counters.since = time.Now()
	h.life, h.end = context.WithCancel(context.Background())
	h.serving.Go(h.accept)
	if cfg.WatchNetwork == WatchAlways || cfg.WatchNetwork == WatchDefault && cfg.PacketConn == nil {
		h.serving.Go(h.watchNetwork)
	}
	return h, nil
}

// LocalID is our own key.
func (h *Host) LocalID() peer.ID { return h.id }

// Addr is the address the host is bound to.
func (h *Host) Addr() net.Addr { return h.carrier.addr() }

// Session returns the session with a peer, if one is established or closing; it need not have a connection
// right now.
func (h *Host) Session(id peer.ID) (*Session, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sessions[id]
	if s == nil || !s.up() {
		return nil, false
	}
	return s, true
}

// Sessions yields the sessions that are established or closing, in the order of their keys.
func (h *Host) Sessions() iter.Seq[*Session] {
	h.mu.Lock()
	list := make([]*Session, 0, len(h.sessions))
	for _, s := range h.sessions {
		if s.up() {
			list = append(list, s)
		}
	}
	h.mu.Unlock()
	slices.SortFunc(list, func(a, b *Session) int { return a.peer.Compare(b.peer) })
	return slices.Values(list)
}

// Shutdown closes every session gracefully, all at once, and then the host. The error joins what the
// sessions could not deliver before ctx ended.
func (h *Host) Shutdown(ctx context.Context) error {
	h.refuseNew()
	var wait sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for s := range h.Sessions() {
		wait.Go(func() {
			if err := s.Close(ctx); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return errors.Join(append(errs, h.Close())...)
}

// goServe runs f as one of the host's goroutines, unless the host is closed.
func (h *Host) goServe(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.serving.Go(f)
	}
}

func (h *Host) refuseNew() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
}

// NetworkChanged tells the host that addresses, interfaces or routes of this machine have changed (C9). Every
// session finds out within a fraction of a second whether its connection still works, and makes another if
// not, without waiting for silence to tell. It returns at once. On Linux, and more slowly elsewhere, the host
// notices by itself: see Config.WatchNetwork.
func (h *Host) NetworkChanged() {
	h.mu.Lock()
	list := make([]*Session, 0, len(h.sessions))
	for _, s := range h.sessions {
		if s.up() {
			list = append(list, s)
		}
	}
	h.mu.Unlock()
	h.goServe(func() { // posting waits for each session's loop
		for _, s := range list {
			s.post(event{kind: evKick})
		}
	})
}

// Close ends everything at once: what was not yet delivered is lost, peers are told that we closed. It
// returns when no goroutine of the host is left and no callback will come any more.
func (h *Host) Close() error {
	h.refuseNew()
	h.mu.Lock()
	all := make([]*Session, 0, len(h.sessions))
	for _, s := range h.sessions {
		all = append(all, s)
	}
	h.mu.Unlock()
	for _, s := range all {
		s.end(&Error{Code: Closed, Op: "session", Peer: s.peer, Err: errHostClosed})
	}
	for _, s := range all {
		<-s.closed
	}
	h.end()
	err := h.carrier.close()
	h.serving.Wait()
	return err
}

var errHostClosed = errors.New("the host was closed")

// nextIncarnation returns a number that rises from session to session, also over restarts as long as
// the clock does: microseconds since 1970, with its low bits random so that it tells nobody our clock
// to the microsecond and differs between two devices with one key. h.mu is held.
func (h *Host) nextIncarnation() uint64 {
	const random = 1<<10 - 1
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	now := uint64(max(time.Now().UnixMicro(), 1))
	h.incarnation = max(now&^random|uint64(binary.BigEndian.Uint16(b[:]))&random, h.incarnation+1)
	return h.incarnation
}

// hold returns the session with id for a handshake under way, making it if there is none. While one is
// closing it waits for its end. release or an attach must follow.
//
// remote, if not 0, is the incarnation of the peer that asks: a connection of a session that is closing is
// refused, and one of a later session ends it at once. A session that is made has an incarnation above the one
// given.
func (h *Host) hold(ctx context.Context, id peer.ID, remote, above uint64) (*Session, error) {
	for {
		s, old, err := h.tryHold(id, above)
		if errors.Is(err, Limit) {
			if old = h.giveUpOne(nil, "Config.MaxSessions is reached"); old != nil {
				err, remote = nil, 0
			}
		}
		if s != nil || err != nil {
			return s, err
		}
		switch known := old.remote.Load(); {
		case remote == 0 || known == 0 || remote < known: // the caller, or bind, decides once old is over
		case remote == known:
			return nil, &Error{Code: Closed, Op: "accept", Peer: id, Err: errors.New("that session is closing")}
		default:
			old.post(event{kind: evLost, err: supersededBy(id)})
		}
		select {
		case <-old.closed:
		case <-ctx.Done():
			return nil, ctxError(ctx, "dial", id)
		}
	}
}

func supersededBy(id peer.ID) error {
	return &PeerError{Code: Superseded, Op: "session", Peer: id, Message: "the peer began a new session: it restarted, or its key is used elsewhere"}
}

// incarnationAbove is nextIncarnation, or, if that is not above the number that a peer claims to know of, one that
// is. It is for the session with that peer only: if all later sessions were numbered above it, one peer could use
// up the numbers of all. above is below maxIncarnation. h.mu is held.
func (h *Host) incarnationAbove(above uint64) uint64 {
	n := h.nextIncarnation()
	if n > above {
		return n
	}
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails; two peers that claim the same get different numbers all the same
	return above + min(1+uint64(binary.BigEndian.Uint16(b[:])), maxIncarnation-above)
}

// maxIncarnation leaves numbers for as long as anybody counts: the clock reaches it in 292,000 years.
const maxIncarnation = 1 << 63

// tryHold returns as old the session that must end first, if there is one.
func (h *Host) tryHold(id peer.ID, above uint64) (s, old *Session, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, &Error{Code: Closed, Op: "session", Peer: id, Err: errHostClosed}
	}
	s = h.sessions[id]
	if s == nil {
		if len(h.sessions) >= h.cfg.MaxSessions {
			return nil, nil, &Error{Code: Limit, Op: "session", Peer: id, Err: errors.New("Config.MaxSessions is reached")}
		}
		s = newSession(h, id, h.incarnationAbove(above))
		h.sessions[id] = s
	} else if s.State() > StateEstablished || s.life.Err() != nil {
		return nil, s, nil
	}
	s.holds++
	return s, nil, nil
}

// release ends a hold. If that was the last and no connection came of any, the session is over for the
// reason err. Deciding under the lock keeps a new hold from finding a session that is about to end.
func (h *Host) release(s *Session, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.holds--
	if s.holds == 0 && s.State() == StateHandshaking {
		if err == nil {
			err = &Error{Code: Closed, Op: "handshake", Peer: s.peer}
		}
		s.end(err)
	}
}

// forget tells everybody that a session has ended and then makes room for the next one.
func (h *Host) forget(s *Session, cause error) {
	h.receiverMu.Lock()
	announced := s.announced
	h.receiverMu.Unlock()
	if announced {
		h.receiver.down(s.peer, s.local, cause)
	}
	select {
	case <-s.established:
		h.notify(Event{Kind: Over, Session: s, Cause: cause})
	default:
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[s.peer] == s {
		delete(h.sessions, s.peer)
		h.counters.retire(s, cause)
	}
}
