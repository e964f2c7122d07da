package socket

import (
	"context"
	"errors"
	"sync"
)

// SendAll sends one reliable block to every session that is established, or to those for which some, unless nil,
// is true (C13). It returns when each has accepted it, as Send does, or has failed to: how many have accepted, and
// the joined errors of the others, each an *Error or *PeerError that names its peer. The lane is that of Send. The
// block is copied for each; it must not change before SendAll returns.
//
// With Config.SpreadRate the peers are served one after the other, evenly in time, and calls that go on at once
// take turns (B13). No peer waits for another's buffer: those whose buffers are full are waited for beside the
// rest, until ctx ends or, if it has no deadline, Config.SendTimeout for each. When ctx ends, those whose turn has
// not come fail with Timeout, or with Closed if ctx was canceled.
//
// Sessions that begin meanwhile are left out, and those that end meanwhile fail. some is called once for each
// session, before anything is sent, by the goroutine that called SendAll.
func (h *Host) SendAll(ctx context.Context, lane uint64, block []byte, some func(*Session) bool) (sent int, err error) {
	if h.life.Err() != nil {
		return 0, &Error{Code: Closed, Op: "send", Err: errHostClosed}
	}
	var to []*Session
	for s := range h.Sessions() {
		if s.State() == StateEstablished && (some == nil || some(s)) {
			to = append(to, s)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.life, func() { cancel(errHostClosed) })()

	var waiting sync.WaitGroup
	errs := make([]error, len(to)) // of each peer; nil if it has accepted
	tried := 0
	spread := h.spreader.Spread(ctx, len(to), func(i int) error {
		tried = i + 1
		errs[i] = to[i].TrySend(lane, block)
		if errors.Is(errs[i], WouldBlock) || errors.Is(errs[i], TooLarge) {
			waiting.Go(func() { errs[i] = to[i].Send(ctx, lane, block) })
		}
		return nil
	})
	if spread != nil {
		for i := tried; i < len(to); i++ {
			errs[i] = ctxError(ctx, "send", to[i].peer)
		}
	}
	waiting.Wait()
	for _, err := range errs {
		if err == nil {
			sent++
		}
	}
	return sent, errors.Join(errs...)
}
