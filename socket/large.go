package socket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/wire"
)

// largeChunk is how much of a large block is reserved and allocated at a time, as its bytes arrive.
const largeChunk = 64 << 10

// largeStall is how long nothing of a large block may come (threat T15), be there a connection or none. Then
// its memory is freed and the sender is told.
const largeStall = time.Minute

var (
	errNoMemory = errors.New("no memory to spare")
	errTooLong  = errors.New("longer than it may be")
)

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
	l, _ := s.outLane(lane)
	if l.begins != nil {
		select {
		case <-l.begins.passed:
		case <-s.life.Done():
			return s.fail("send")
		case <-ctx.Done():
			return ctxError(ctx, "send", s.peer)
		}
	}
	return s.streams.sendLarge(ctx, l.index, l.position(), block)
}

// sendLarge sends a block that goes after number others of its lane. It is not copied: nothing reads it any
// more when sendLarge returns.
func (t *streams) sendLarge(ctx context.Context, lane, number uint64, block []byte) error {
	f := &flow{
		t: t, priority: priorityBulk,
		head: wire.Preamble{Kind: wire.StreamBlock, Lane: lane, Number: number, Length: uint64(len(block))},
	}
	f.in.done, f.in.said = true, true // there is no other direction
	o := &f.out
	o.segments = []*segment{{buf: block, foreign: true}}
	o.end, o.finished = uint64(len(block)), true
	whole := o.segments[0]
	first := t.unsettled(int64(len(block)))
	if err := t.create(ctx, "send", f); err != nil {
		t.settle(int64(len(block)))
		return err
	}
	if first {
		t.env.pending()
	}
	done := ctx.Done()
	var failure error
	for {
		f.mu.Lock()
		over, changed := o.over || o.reset != 0, o.changed.wait()
		if over {
			f.drop()
			if o.reset == 0 { // else we have given up, and know why
				failure = t.blockError(o)
			}
			if whole.pins == 0 {
				f.mu.Unlock()
				return failure
			}
			changed = o.changed.wait()
		}
		f.mu.Unlock()
		if over {
			f.free() // whoever reads the block is let go
		}
		select {
		case <-changed:
		case <-done:
			done = nil
			failure = ctxError(ctx, "send", t.peer)
			f.giveUp(resetCanceled)
		}
	}
}

// blockError is how the sending of a block has ended; nil if the peer has handed it up.
func (t *streams) blockError(o *outHalf) error {
	if theirs, ok := errors.AsType[*PeerError](o.refusal); ok {
		return &PeerError{Code: theirs.Code, Op: "send", Peer: theirs.Peer, reset: true}
	}
	if o.refusal != nil {
		return o.refusal
	}
	if o.err != nil {
		return t.env.fail("send")
	}
	return nil
}

// receiveLarge reads one large block, hands it up in its place and says so.
func (t *streams) receiveLarge(f *flow) {
	ctx, cancel := context.WithCancel(t.life)
	defer cancel()
	f.mu.Lock()
	f.abandon = cancel
	if f.in.err != nil {
		cancel()
	}
	f.mu.Unlock()

	var block []byte
	var reserved int64
	err := errTooLong
	if f.head.Length <= uint64(t.largest) {
		err = t.env.awaitReceiver(ctx)
	}
	if err == nil {
		block, reserved, err = t.readLarge(f)
		defer func() { t.memory.release(reserved) }()
	}
	if err == nil {
		err = t.env.deliver(ctx, f.head.Lane, f.head.Number, block)
	}
	switch {
	case err == nil:
		f.mu.Lock()
		f.in.done = true
		f.mu.Unlock()
		t.mark(f)
		f.free()
		t.env.ackNow()
	case errors.Is(err, errTooLong):
		f.giveUp(resetTooLarge)
	case errors.Is(err, errNoMemory), errors.Is(err, Timeout):
		f.giveUp(resetLimit)
	case ctx.Err() != nil && t.life.Err() == nil:
		f.giveUp(resetCanceled) // the sender has given up
	default:
		f.giveUp(resetClosed)
		if t.life.Err() == nil && !errors.Is(err, Closed) {
			t.env.broken(violation(t.peer, "large block: "+err.Error())) // its turn does not come, or it ends too early
		}
	}
}

// readLarge reads a block, reserving memory as it comes.
func (t *streams) readLarge(f *flow) (block []byte, reserved int64, err error) {
	size := int64(f.head.Length)
	for int64(len(block)) < size {
		step := min(size-int64(len(block)), max(largeChunk, int64(len(block)))) // doubles
		if !t.memory.reserve(step) {
			return nil, reserved, errNoMemory
		}
		reserved += step
		at := len(block)
		grown := make([]byte, at+int(step))
		copy(grown, block)
		block = grown
		for at < len(block) {
			f.setReadDeadline(time.Now().Add(largeStall))
			k, err := f.read(block[at:])
			if at += k; err != nil && at < len(block) {
				return nil, reserved, err
			}
		}
	}
	f.setReadDeadline(time.Time{})
	return block, reserved, nil
}
