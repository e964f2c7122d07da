package socket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"parley/peer"
	"parley/wire"
)

// accept takes connections until the host closes.
func (h *Host) accept() {
	for {
		c, err := h.carrier.accept(h.life)
		if err != nil {
			return
		}
		h.serving.Go(func() { h.serve(c) })
	}
}

// serve is the listener's half of the handshake above the connection. The peer learns the code of an
// error, and of a few kinds the reason.
func (h *Host) serve(c connection) {
	ctx, cancel := context.WithTimeout(h.life, h.cfg.HandshakeTimeout)
	defer cancel()
	err := h.welcome(ctx, c)
	if err == nil {
		h.counters.accepted.Add(1)
	} else {
		h.counters.refused.count(err)
		h.cfg.Logger.Debug("connection refused", "peer", c.peer().Short(), "from", c.remoteAddr().String(), "reason", err)
		c.close(farewellOf(err), "")
	}
}

// welcome reads Hello, decides, and answers Accept.
func (h *Host) welcome(ctx context.Context, c connection) error {
	if err := h.mayTalk(c.peer()); err != nil {
		return err
	}
	ekm, err := c.export(exporterLabel, nil, exporterSize)
	if err != nil {
		return err
	}
	control, err := c.accept(ctx)
	if err != nil {
		return handshakeError(ctx, c, "accept", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = control.setReadDeadline(time.Unix(1, 0)) })
	defer stop()
	frames := bufio.NewReaderSize(control, controlBuffer)
	hello, err := readHello(frames)
	if err != nil {
		return handshakeError(ctx, c, "accept", err)
	}
	switch {
	case hello == nil:
		return violation(c.peer(), "the first frame is not Hello")
	case hello.GetVersion() != wire.Version:
		return &Error{Code: Version, Op: "accept", Peer: c.peer(), Err: fmt.Errorf("the peer speaks version %d", hello.GetVersion())}
	case !h.prover.check(hello.GetProof(), dialler, c.peer(), h.id, ekm):
		return &Error{Code: Authentication, Op: "accept", Peer: c.peer(), Err: errSecret}
	}
	s, err := h.match(ctx, c, hello)
	if outdated, ok := errors.AsType[*outdatedError](err); ok {
		return tellOutdated(ctx, control, outdated)
	}
	if err != nil {
		return err
	}
	err = h.acceptInto(ctx, s, c, control, frames, hello, ekm)
	h.release(s, err)
	return err
}

// tellOutdated answers a Hello with the incarnation to exceed, and gives the peer a moment to read it.
func tellOutdated(ctx context.Context, control stream, e *outdatedError) error {
	out, err := wire.AppendControl(nil, &wire.Control{Kind: &wire.ControlOutdated{Outdated: &wire.Outdated{Incarnation: e.above}}})
	if err == nil {
		_, err = control.Write(out)
	}
	if err == nil {
		err = control.closeWrite()
	}
	if err == nil {
		err = control.peek() // the dialler closes the connection; ctx bounds the wait
	}
	return &Error{Code: Superseded, Op: "accept", Err: errors.Join(e, ctx.Err(), err)}
}

// readHello returns nil without an error if the first frame is another.
func readHello(frames *bufio.Reader) (*wire.Hello, error) {
	p, err := wire.ReadPreamble(frames)
	if err != nil {
		return nil, err
	}
	if p.Kind != wire.StreamControl {
		return nil, nil //nolint:nilnil // documented
	}
	frame, err := wire.ReadControl(frames)
	if err != nil {
		return nil, err
	}
	return frame.GetHello(), nil
}

// match finds or makes the session that a Hello belongs to, and holds it. A session is the pair of both
// sides' incarnations, found by the key that the connection has proved (threat T8).
//
//   - A Hello that names our incarnation asks to go on with that session. If it is not the live one, its
//     state is lost here; or, if the peer has a later session, it is superseded.
//   - A Hello that names none asks for a new session, or joins one that both sides are making at once. With a
//     later incarnation than the live session's it supersedes that: the peer has begun anew, on this device or
//     another (C11). With an earlier one, it is told which to exceed: its clock is slow, or it came late.
func (h *Host) match(ctx context.Context, c connection, hello *wire.Hello) (*Session, error) {
	theirs, ours := hello.GetIncarnation(), hello.GetPeerIncarnation()
	if theirs > maxIncarnation {
		return nil, violation(c.peer(), "incarnation out of range")
	}
	if ours != 0 {
		return h.resume(c.peer(), theirs, ours)
	}
	for {
		s, err := h.hold(ctx, c.peer(), theirs, 0)
		if err != nil {
			return nil, err
		}
		if s.bind(theirs) {
			return s, nil
		}
		known := s.remote.Load()
		h.release(s, nil)
		if theirs < known {
			return nil, &outdatedError{above: known}
		}
		s.post(event{kind: evLost, err: supersededBy(c.peer())})
		select {
		case <-s.closed:
		case <-ctx.Done():
			return nil, ctxError(ctx, "accept", c.peer())
		}
	}
}

// resume holds the session with a peer if it is the one that both incarnations name.
func (h *Host) resume(id peer.ID, theirs, ours uint64) (*Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sessions[id]
	switch {
	case h.closed && (s == nil || s.life.Err() != nil): // while the host shuts down, its sessions go on
		return nil, &Error{Code: Closed, Op: "accept", Peer: id, Err: errHostClosed}
	case s != nil && s.remote.Load() > theirs:
		return nil, &Error{Code: Superseded, Op: "accept", Peer: id, Err: errors.New("a later session exists")}
	case s == nil, s.local != ours, s.life.Err() != nil, s.State() == StateClosed, !s.bind(theirs):
		return nil, &Error{Code: StateLost, Op: "accept", Peer: id, Err: errors.New("that session is not known here")}
	}
	s.holds++
	return s, nil
}

// outdatedError says that a session must have a later incarnation than another that its peer has.
type outdatedError struct{ above uint64 }

func (*outdatedError) Error() string { return "the peer has a session with a later number" }

func (h *Host) acceptInto(ctx context.Context, s *Session, c connection, control stream, frames *bufio.Reader, hello *wire.Hello, ekm []byte) error {
	accept := &wire.Accept{
		Version: wire.Version, Incarnation: s.local, PeerIncarnation: hello.GetIncarnation(), Proof: h.prover.proof(listener, c.peer(), h.id, ekm),
		Agent: agent, Lanes: wire.MaxLanes, MaxBlock: uint64(h.cfg.MaxBlock), Connections: uint32(h.cfg.Connections),
	}
	if accept.Resumed = hello.GetPeerIncarnation() != 0; accept.GetResumed() {
		accept.Received = s.received()
	}
	out, err := wire.AppendControl(nil, &wire.Control{Kind: &wire.ControlAccept{Accept: accept}})
	if err != nil {
		return &Error{Code: Internal, Op: "accept", Peer: s.peer, Err: err}
	}
	if _, err := control.Write(out); err != nil {
		return handshakeError(ctx, c, "accept", err)
	}
	return s.join(ctx, c, control, frames, false, hello.GetGeneration(), hello)
}
