package socket

import (
	"context"

	"parley/peer"
)

// The methods below, with LocalID and Attach, are what package dispatch asks of its transport.

// Send is Session.Send on the session with that peer. session, if not 0, is the Incarnation it must
// have: a reply to what came in one session never goes out in the next. NotFound if there is no such
// session.
func (h *Host) Send(ctx context.Context, to peer.ID, session, lane uint64, block []byte) error {
	s, err := h.find(to, session)
	if err != nil {
		return err
	}
	return s.Send(ctx, lane, block)
}

// SendBestEffort is Session.SendBestEffort; see Send for session.
func (h *Host) SendBestEffort(ctx context.Context, to peer.ID, session, lane uint64, block []byte) error {
	s, err := h.find(to, session)
	if err != nil {
		return err
	}
	return s.SendBestEffort(ctx, lane, block)
}

func (h *Host) find(to peer.ID, session uint64) (*Session, error) {
	s, ok := h.Session(to)
	if !ok || session != 0 && s.local != session {
		return nil, &Error{Code: NotFound, Op: "send", Peer: to}
	}
	return s, nil
}
