package socket

import (
	"errors"

	"parley/wire"
)

var (
	errFull        = errors.New("the lane's buffer, or the host's for all of them, is full")
	errLargeTrying = errors.New("blocks over 64 KiB have to wait for the peer: use Send")
)

// TrySend is Send for a block that can wait in the application, or be left out, rather than hold up its caller: it
// never blocks. If there is no room for the block right now, nothing is sent and the error is WouldBlock. A session
// without a connection has room as long as its buffers have. The block is copied.
//
// Errors beside that: Closed when the session is over or closing, TooLarge for a block over 64 KiB, which cannot
// be sent without waiting.
func (s *Session) TrySend(lane uint64, block []byte) error {
	if err := s.usable("send"); err != nil {
		return err
	}
	if len(block) > wire.MaxLaneBlock {
		return &Error{Code: TooLarge, Op: "send", Peer: s.peer, Err: errLargeTrying}
	}
	for {
		l, epoch := s.outLane(lane)
		switch room, err := l.offer(block, epoch); room {
		case roomTaken:
			return err
		case roomElsewhere:
			continue
		case roomLacks, roomLacksBudget:
			l.mu.Unlock()
		}
		break
	}
	return &Error{Code: WouldBlock, Op: "send", Peer: s.peer, Err: errFull}
}
