package socket

import (
	"context"

	"parley/peer"
)

// DialService is Dial, and then OpenService (B10).
func (h *Host) DialService(ctx context.Context, id peer.ID, address, service, protocol string) (*Stream, error) {
	s, err := h.Dial(ctx, id, address)
	if err != nil {
		return nil, err
	}
	return s.OpenService(ctx, service, protocol)
}

// OpenService opens a stream to a service of the peer's (B10) and waits until its application there has accepted
// it: for a round trip at least, and as long as the application takes, until ctx ends; also while the
// session has no connection.
//
// The error is a *PeerError if the peer says no: NotFound if it does not offer the pair of service and protocol,
// Refused if it does not let us use it or has ceased to offer it, Limit if too many streams wait there. It is an
// *Error with Refused if the names are not what a Service may have.
func (s *Session) OpenService(ctx context.Context, service, protocol string) (*Stream, error) {
	to := Service{Name: service, Protocol: protocol}
	op := "open " + to.String()
	if err := s.usable(op); err != nil {
		return nil, err
	}
	if err := to.check(); err != nil {
		return nil, &Error{Code: Refused, Op: op, Peer: s.peer, Err: err}
	}
	x, err := s.streams.openStream(ctx, service, protocol)
	if err != nil {
		return nil, err
	}
	if err := x.awaitTaken(ctx, op); err != nil {
		x.giveUp(resetCanceled)
		return nil, err
	}
	return x, nil
}
