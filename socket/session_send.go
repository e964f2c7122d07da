package socket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/wire"
)

// Send queues one reliable block for the peer (B1, B2). Blocks sent with one lane number arrive in the
// order of their Send calls; the numbers are shared out over a few lanes, and a lost packet on one
// delays no other (B3). Send returns as soon as the block is queued and blocks only while the lane's
// buffer is full: until ctx ends, or for Config.SendTimeout if ctx has no deadline. The block is
// copied.
//
// A block over 64 KiB travels on a stream of its own, so that it does not hold up its lane. It too is
// handed up after every earlier block of its lane, and Send returns only when it has been: then the
// next Send of the same goroutine is in order as well. Blocks that others send on the lane meanwhile may
// overtake it.
//
// Errors: Closed when the session is over or closing, Timeout, TooLarge when the peer does not take
// blocks of this size (nothing was sent), Limit when it has no memory to spare right now.
func (s *Session) Send(ctx context.Context, lane uint64, block []byte) error {
	if err := s.usable("send"); err != nil {
		return err
	}
	if len(block) > wire.MaxLaneBlock {
		return s.sendLarge(ctx, lane, block)
	}
	return s.outLane(lane).send(ctx, block)
}

// await waits for ready, for at most the send timeout if ctx has no deadline.
func (s *Session) await(ctx context.Context, ready <-chan struct{}, op string) error {
	ctx, cancel := s.withSendTimeout(ctx)
	defer cancel()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ctxError(ctx, op, s.peer)
	case <-s.life.Done():
		return s.fail(op)
	}
}

func (s *Session) withSendTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok || s.host.cfg.SendTimeout < 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, s.host.cfg.SendTimeout)
}

// openStream opens a stream on the current link and writes its preamble. The caller completes it on the
// link that is returned, which is nil only with an error.
func (s *Session) openStream(ctx context.Context, p priority, pre wire.Preamble) (*link, stream, error) {
	head, err := pre.Append(nil)
	if err != nil {
		return nil, nil, &Error{Code: Internal, Op: "open stream", Peer: s.peer, Err: err}
	}
	for {
		on := s.current.Load()
		if on == nil {
			return nil, nil, s.fail("open stream")
		}
		if !on.begin() { // the session has just moved elsewhere
			if s.life.Err() != nil {
				return nil, nil, s.fail("open stream")
			}
			continue
		}
		st, err := on.open(ctx)
		if err == nil {
			on.openedOne()
			st.setPriority(p)
			if _, err = st.Write(head); err == nil {
				return on, st, nil
			}
			st.cancelRead(resetCanceled)
			st.cancelWrite(resetCanceled)
		}
		on.complete()
		return nil, nil, err
	}
}

// sendLarge sends a block on a stream of its own and waits until the peer has handed it up.
func (s *Session) sendLarge(ctx context.Context, lane uint64, block []byte) error {
	if limit := s.peerMaxBlock.Load(); int64(len(block)) > limit {
		return &Error{Code: TooLarge, Op: "send", Peer: s.peer, Err: fmt.Errorf("block of %d bytes: the peer takes %d", len(block), limit)}
	}
	if !s.sends.enter() {
		return s.fail("send")
	}
	defer s.sends.leave()
	ctx, cancel := s.withSendTimeout(ctx)
	defer cancel()

	l := s.outLane(lane)
	on, st, err := s.openStream(ctx, priorityBulk,
		wire.Preamble{Kind: wire.StreamBlock, Lane: l.index, Number: l.position(), Length: uint64(len(block)), Stream: s.numbers.Add(1)})
	if err != nil {
		return err
	}
	defer on.complete()
	stop := context.AfterFunc(ctx, func() {
		st.cancelRead(resetCanceled)
		st.cancelWrite(resetCanceled)
	})
	defer stop()
	if _, err = st.Write(block); err == nil {
		err = st.closeWrite()
	}
	if err == nil {
		err = confirmed(st)
	} else if reason := confirmed(st); reason != nil {
		err = reason // a refusal says why on the peer's direction
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctxError(ctx, "send", s.peer)
	}
	st.cancelRead(resetCanceled)
	st.cancelWrite(resetCanceled)
	return err
}

// largeChunk is how much of a large block is reserved and allocated at a time, as its bytes arrive.
const largeChunk = 64 << 10

// largeStall is how long the sender of a large block may pause in the middle of it (threat T15).
const largeStall = 30 * time.Second

// receiveLarge reads one large block, hands it up in its place, and ends the other direction to say so.
func (n *link) receiveLarge(st stream, p wire.Preamble) {
	s := n.session
	size := int64(p.Length)
	if size > int64(s.host.cfg.MaxBlock) {
		n.refuse(st, resetTooLarge)
		return
	}
	if err := s.host.awaitReceiver(n.context()); err != nil {
		n.refuse(st, resetClosed)
		return
	}
	block, reserved, err := s.readLarge(st, size)
	defer s.largeMemory.release(reserved)
	if err == nil {
		err = s.inLane(p.Lane).deliverAfter(n.context(), p.Number, func() { s.hand(block) })
	}
	switch {
	case err == nil:
		_ = st.closeWrite()
		n.completeIncoming()
	case errors.Is(err, errNoMemory):
		n.refuse(st, resetLimit)
	case errors.Is(err, errLaneStalled):
		n.refuse(st, resetCanceled)
		n.broken("large block", err)
	default:
		n.refuse(st, resetCanceled)
	}
}

var errNoMemory = errors.New("no memory to spare")

func (s *Session) readLarge(st stream, size int64) (block []byte, reserved int64, err error) {
	for int64(len(block)) < size {
		step := min(size-int64(len(block)), max(largeChunk, int64(len(block)))) // doubles
		if !s.largeMemory.reserve(step) {
			return nil, reserved, errNoMemory
		}
		reserved += step
		at := len(block)
		grown := make([]byte, at+int(step))
		copy(grown, block)
		block = grown
		for at < len(block) {
			_ = st.setReadDeadline(time.Now().Add(largeStall))
			k, err := st.Read(block[at:])
			at += k
			if err != nil && at < len(block) {
				return nil, reserved, err
			}
		}
	}
	_ = st.setReadDeadline(time.Now().Add(largeStall))
	return block, reserved, confirmed(st)
}
