package socket

import (
	"context"

	"parley/internal/pace"
)

const (
	// pacePiece is how much is written at a time where a limit applies, in bytes: what is more urgent waits for no
	// more than one piece, which is a tenth of a second at 160 kB/s.
	pacePiece = 16 << 10
	// paceBurst is how much of what a limit lets pass in a second may pass at once after a pause: 1/20.
	paceBurst = 20
)

func newPace(parent *pace.Limiter, bytesPerSecond int) *pace.Limiter {
	return pace.New(parent, float64(bytesPerSecond), bytesPerSecond/paceBurst)
}

// SetRate bounds what the host sends to all peers together (B13), in bytes per second; zero or less is no limit.
// It replaces Config.Rate, at once, also for what waits. A Session and a Stream may have limits of their own
// besides; the lowest decides.
//
// What counts is payload: the bytes of blocks and streams, as often as they are sent again on another
// connection. Headers, acknowledgements, and what the carrier repeats because packets were lost come on top, and
// are not delayed. In any t seconds at most t + 1/20 seconds' worth passes, and 16 KiB more for each kind.
//
// Where a limit makes traffic wait, small and best-effort blocks and streams of PriorityInteractive go first; other
// streams and large blocks share what they leave, equally among peers and, of one peer, in turns of 16 KiB.
func (h *Host) SetRate(bytesPerSecond int) { setRate(h.pace, bytesPerSecond) }

// SetRate bounds what is sent to the peer (B13), as Host.SetRate does for all peers. A session begins without a
// limit of its own, and keeps what it has when its connection is replaced.
func (s *Session) SetRate(bytesPerSecond int) { setRate(s.pace, bytesPerSecond) }

// SetRate bounds what we send on the stream (B13), as Host.SetRate does for all peers. A stream begins without a
// limit of its own.
func (x *Stream) SetRate(bytesPerSecond int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.pace == nil {
		x.pace = pace.New(x.t.pace, 0, 0)
	}
	setRate(x.pace, bytesPerSecond)
}

func setRate(l *pace.Limiter, bytesPerSecond int) {
	l.SetRate(float64(bytesPerSecond), bytesPerSecond/paceBurst)
}

// allowed is how many bytes may be written now to a carrier that wants some. It is 0 if it had to wait: then
// anything may have changed meanwhile, and it is to be asked again. It is negative if the wait ended because the
// flow has left the carrier or need write nothing more. f.mu is held, but not during the wait.
func (f *flow) allowed(a *attachment) int {
	limits := f.pace
	if limits == nil {
		limits = f.t.pace
	}
	if !limits.Limited() {
		return largeWrite
	}
	if f.paid > 0 {
		return f.paid
	}
	n := int(min(f.out.end-a.sent, pacePiece))
	class := pace.Bulk
	if f.priority <= priorityInteractive {
		class = pace.Interactive
	}
	ctx, cancel := context.WithCancel(f.t.life)
	defer cancel()
	a.unpace = cancel
	f.mu.Unlock()
	err := limits.Wait(ctx, class, n)
	f.mu.Lock()
	if err != nil {
		return -1
	}
	f.paid += n
	return 0
}
