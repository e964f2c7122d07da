package pace

import "context"

// Spreader releases messages that nobody asked for, such as announcements, evenly
// in time and evenly over their recipients (B13). Broadcasts that run at the same
// time take turns. Its methods may be called concurrently.
type Spreader struct {
	turns *Limiter // a message is a byte to it; no broadcast has two waiting, so order of arrival is taking turns
}

// NewSpreader returns a spreader for that many messages per second, all
// broadcasts together; zero, a negative or an infinite rate is no limit.
func NewSpreader(messagesPerSecond float64) *Spreader {
	return &Spreader{turns: New(nil, messagesPerSecond, 0)}
}

// SetRate changes the rate, at once for broadcasts that are running too.
func (s *Spreader) SetRate(messagesPerSecond float64) { s.turns.SetRate(messagesPerSecond, 0) }

// Spread calls send with 0 to n-1, one after the other, each when its message is
// due, and returns after the last. It calls send in its own goroutine: what send
// needs itself, up to the interval between messages, delays nothing.
//
// It ends early with ctx's error, or with send's, which it passes on unchanged.
// Everything whose send returned nil has been sent.
func (s *Spreader) Spread(ctx context.Context, n int, send func(i int) error) error {
	for i := range n {
		if err := ctx.Err(); err != nil { // Wait does not look where there is no limit
			return err
		}
		if err := s.turns.Wait(ctx, Bulk, 1); err != nil {
			return err
		}
		if err := send(i); err != nil {
			return err
		}
	}
	return nil
}
