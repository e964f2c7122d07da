package socket

import (
	"context"
	"slices"

	"parley/peer"
)

// receiver is what Attach installs.
type receiver struct {
	up    func(id peer.ID, session, remote uint64)
	block func(id peer.ID, session uint64, block []byte)
	down  func(id peer.ID, session uint64, cause error)
}

// Attach installs the functions that take what arrives; once, usually by package dispatch. Blocks that
// arrive before wait in the connections, under their flow control.
//
// For each session up is called before any block and down after the last; session is its Incarnation,
// remote its RemoteIncarnation. A
// peer's next session comes up only after the last one is down. block is called concurrently for
// different lanes and in order within one; the slice is the callee's to keep. No function may block:
// the connection waits for it.
func (h *Host) Attach(
	up func(id peer.ID, session, remote uint64),
	block func(id peer.ID, session uint64, block []byte),
	down func(id peer.ID, session uint64, cause error),
) {
	h.receiverMu.Lock()
	defer h.receiverMu.Unlock()
	h.receiver = receiver{up, block, down}
	for s := range h.Sessions() {
		s.announced = true // also if it is ending: down follows, and what it has received comes between
		up(s.peer, s.local, s.remote.Load())
	}
	close(h.attached)
}

// awaitReceiver waits for Attach.
func (h *Host) awaitReceiver(ctx context.Context) error {
	select {
	case <-h.attached:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// announce tells that a session is established; called before anything is read from it.
func (h *Host) announce(s *Session) {
	h.receiverMu.Lock()
	select {
	case <-h.attached:
		if !s.announced {
			s.announced = true
			h.receiver.up(s.peer, s.local, s.remote.Load())
		}
	default: // Attach will
	}
	h.receiverMu.Unlock()
	h.notify(Event{Kind: Up, Session: s})
}

// hand gives a block to the receiver. Attach has happened: every reader waits for it.
func (s *Session) hand(block []byte) { s.host.receiver.block(s.peer, s.local, block) }

// EventKind is what happened to a session.
type EventKind uint8

// The kinds of events (C3, C7). A session's first is Up and its last is Over.
const (
	Up      EventKind = iota + 1 // established, or its connection works again
	Stalled                      // something waits to be delivered, and nothing is heard of the peer: an early warning
	Down                         // it has no connection that works; it keeps everything and connects again by itself
	Closing                      // it delivers what was accepted before, and takes nothing new
	Over                         // it has ended
)

func (k EventKind) String() string {
	switch k {
	case Up:
		return "up"
	case Stalled:
		return "stalled"
	case Down:
		return "down"
	case Closing:
		return "closing"
	case Over:
		return "over"
	}
	return "unknown"
}

// Event is a change in the life of a session.
type Event struct {
	Kind    EventKind
	Session *Session
	Cause   error // of Stalled and Down, why; of Over, as Session.Err; else nil
}

type observer struct{ f func(Event) }

// Observe calls f for every event from now on, in order for each session, until stop is called. f must
// not block; it may be called concurrently for different sessions.
func (h *Host) Observe(f func(Event)) (stop func()) {
	o := &observer{f}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.observers = append(slices.Clone(h.observers), o)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.observers = slices.DeleteFunc(slices.Clone(h.observers), func(x *observer) bool { return x == o })
	}
}

func (h *Host) notify(e Event) {
	h.mu.Lock()
	list := h.observers
	h.mu.Unlock()
	for _, o := range list {
		o.f(e)
	}
}
