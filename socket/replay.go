package socket

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"parley/wire"
)

// replayShare is what every session may hold for replay even when the host's budget is used up, so that peers
// who acknowledge nothing do not silence the others.
const replayShare = wire.MaxLaneBlock + binary.MaxVarintLen32 // a block at least

// replayPart says that one session may hold a quarter of the budget: what a single peer does not read or acknowledge
// leaves room for others.
const replayPart = 4

// replayPoll is how often a sender looks whether the budget has room again.
const replayPoll = 20 * time.Millisecond

// replayFull is what a session is told that is given up for others.
const replayFull = "Config.MaxReplay is reached"

// replay counts what a session holds to be sent again, within the host's budget (C9, threat T9). Safe for
// concurrent use.
type replay struct {
	host   *budget
	limit  int64 // of used, replayShare excepted; 0 is none
	used   atomic.Int64
	beyond atomic.Int64 // what of used is not counted in the budget
}

func (r *replay) reserve(n int64) bool {
	used := r.used.Add(n)
	if (r.limit == 0 || used <= r.limit) && r.host.reserve(n) {
		return true
	}
	if used <= replayShare {
		r.beyond.Add(n)
		return true
	}
	r.used.Add(-n)
	return false
}

// full reports whether the session itself holds as much as it may, or nearly.
func (r *replay) full() bool { return r.limit != 0 && r.used.Load()+replayShare > r.limit }

func (r *replay) release(n int64) {
	r.used.Add(-n)
	for n > 0 {
		b := r.beyond.Load()
		free := min(b, n)
		if free == 0 {
			r.host.release(n)
			return
		}
		if r.beyond.CompareAndSwap(b, b-free) {
			n -= free
		}
	}
}

// awaitReplay waits a moment for room in the budget, if it is the host's after giving up a session that has been
// without a connection for longest.
func (h *Host) awaitReplay(ctx context.Context, s *Session) error {
	if !s.replay.full() {
		h.giveUpOne(s, replayFull)
	}
	t := time.NewTimer(replayPoll)
	defer t.Stop()
	ctx, cancel := s.withSendTimeout(ctx)
	defer cancel()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctxError(ctx, "send", s.peer)
	case <-s.life.Done():
		return s.fail("send")
	}
}

// giveUpOne ends the session that has been without a connection for longest, if there is one beside but, and
// returns it.
func (h *Host) giveUpOne(but *Session, why string) *Session {
	h.mu.Lock()
	var oldest *Session
	for _, s := range h.sessions {
		if s == but || s.Condition() != ConditionDown || !s.up() || s.life.Err() != nil {
			continue
		}
		if oldest == nil || s.downSince.Load() < oldest.downSince.Load() {
			oldest = s
		}
	}
	h.mu.Unlock()
	if oldest == nil {
		return nil
	}
	oldest.end(&Error{Code: Limit, Op: "session", Peer: oldest.peer, Err: errors.New(why)})
	return oldest
}
