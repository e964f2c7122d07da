package socket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

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
	if err := h.welcome(ctx, c); err != nil {
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
	if err != nil {
		return err
	}
	err = h.acceptInto(ctx, s, c, control, frames, hello, ekm)
	h.release(s, err)
	return err
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
// sides' incarnations. The same incarnation as known: another connection of that session, which is how two
// simultaneous dials merge. A later one: the peer has begun anew, so the old session is over. An earlier
// one: an old connection that came late, or a second device; it is fenced off (threat T8).
func (h *Host) match(ctx context.Context, c connection, hello *wire.Hello) (*Session, error) {
	for {
		s, err := h.hold(ctx, c.peer(), hello.GetIncarnation())
		if err != nil {
			return nil, err
		}
		if ours := hello.GetPeerIncarnation(); ours != 0 && ours != s.local {
			err := &Error{Code: Superseded, Op: "accept", Peer: c.peer(), Err: errors.New("the session it belongs to is over")}
			h.release(s, err)
			return nil, err
		}
		if s.bind(hello.GetIncarnation()) {
			return s, nil
		}
		h.release(s, nil)
		if hello.GetIncarnation() < s.remote.Load() {
			return nil, &Error{Code: Superseded, Op: "accept", Peer: c.peer(), Err: errors.New("a later session exists")}
		}
		s.post(event{kind: evLost, err: supersededBy(c.peer())})
		select {
		case <-s.closed:
		case <-ctx.Done():
			return nil, ctxError(ctx, "accept", c.peer())
		}
	}
}

func (h *Host) acceptInto(ctx context.Context, s *Session, c connection, control stream, frames *bufio.Reader, hello *wire.Hello, ekm []byte) error {
	out, err := wire.AppendControl(nil, &wire.Control{Kind: &wire.ControlAccept{Accept: &wire.Accept{
		Version: wire.Version, Incarnation: s.local, PeerIncarnation: hello.GetIncarnation(), Proof: h.prover.proof(listener, c.peer(), h.id, ekm),
		Agent: agent, Lanes: wire.MaxLanes, MaxBlock: uint64(h.cfg.MaxBlock),
	}}})
	if err != nil {
		return &Error{Code: Internal, Op: "accept", Peer: s.peer, Err: err}
	}
	if _, err := control.Write(out); err != nil {
		return handshakeError(ctx, c, "accept", err)
	}
	return s.join(ctx, c, control, frames, false, hello)
}
