package socket

import (
	"context"

	"parley/wire"
)

// Send queues one reliable block for the peer (B1, B2). Blocks sent with one lane number arrive in the
// order of their Send calls; the numbers are shared out over a few lanes, and a lost packet on one
// delays no other (B3). Send returns as soon as the block is queued and blocks only while the lane's
// buffer is full: until ctx ends, or for Config.SendTimeout if ctx has no deadline. A session without a
// connection queues as well, and sends when it has one again (C9). The block is copied.
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
		err := s.sendLarge(ctx, lane, block)
		if err == nil {
			s.counters.largeSent.add(1, uint64(len(block)))
		}
		return err
	}
	return s.sendSmall(ctx, lane, block)
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
