package pace

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// traffic runs senders until stopped and counts what each has sent.
type traffic struct {
	ctx  context.Context //nolint:containedctx // the life of the senders
	stop context.CancelFunc
	wait sync.WaitGroup
}

func newTraffic(t *testing.T) *traffic {
	x := &traffic{}
	x.ctx, x.stop = context.WithCancel(t.Context())
	return x
}

// send takes n bytes again and again, and returns how many it has got.
func (x *traffic) send(l *Limiter, c Class, n int) *atomic.Int64 {
	var got atomic.Int64
	x.wait.Go(func() {
		for l.Wait(x.ctx, c, n) == nil {
			got.Add(int64(n))
		}
	})
	return &got
}

func (x *traffic) end() {
	x.stop()
	x.wait.Wait()
}

// pass lets virtual time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// near fails unless got is within a share of want.
func near(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if got < want*(1-share) || got > want*(1+share) {
		t.Errorf("%s: %.1f, want %.1f within %.0f %%", what, got, want, 100*share)
	}
}

// idle fails if anything is left waiting in a limiter.
func idle(t *testing.T, limiters ...*Limiter) {
	t.Helper()
	for i, l := range limiters {
		if n := l.Stats().Waiting; n != 0 {
			t.Errorf("limiter %d: %d waiting", i, n)
		}
		for c := range l.queues {
			if !l.queues[c].empty() || l.own[c].place != 0 || l.up[c].place != 0 {
				t.Errorf("limiter %d: class %d still queued", i, c)
			}
		}
	}
}
