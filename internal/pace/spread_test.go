package pace

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// B13: a broadcast goes out evenly, one recipient after the other, at the rate.
func TestSpread(t *testing.T) {
	for _, rate := range []float64{0.5, 100, 20_000} {
		synctest.Test(t, func(t *testing.T) {
			s := NewSpreader(rate)
			interval := time.Duration(1e9 / rate)
			start := time.Now()
			next := 0
			if err := s.Spread(t.Context(), 1000, func(i int) error {
				due := time.Duration(i) * interval
				if i != next {
					t.Fatalf("message %d, want %d", i, next)
				}
				// The first may be early by what a timer may be late.
				if d := time.Since(start); d > due+interval/20 || d < due-due/20-lateness-interval {
					t.Fatalf("rate %v: message %d after %v, want %v", rate, i, d, due)
				}
				next++
				return nil
			}); err != nil || next != 1000 {
				t.Errorf("%d sent, %v", next, err)
			}
			took := time.Since(start)
			if took < 10*lateness { // a burst of lateness is part of it
				took += lateness
			}
			near(t, "seconds for 1,000 messages", took.Seconds(), 999/rate, 0.05)
		})
	}
}

// B13: broadcasts that run at the same time take turns, message by message, and
// share the rate; so does one that begins later, or in many pieces.
func TestSpreadTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSpreader(100)
		var mu sync.Mutex
		var sent [3]int
		var all sync.WaitGroup
		for b := range sent {
			all.Go(func() {
				if err := s.Spread(t.Context(), 1000, func(int) error {
					mu.Lock()
					defer mu.Unlock()
					sent[b]++
					for other := range sent {
						if sent[b] > sent[other]+2 {
							t.Errorf("%v sent", sent)
						}
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
		start := time.Now()
		all.Wait()
		near(t, "seconds for 3,000 messages", time.Since(start).Seconds(), 30, 0.05)
		idle(t, s.turns)
	})
}

// Spread ends with ctx, or with send's error, having taken nothing it did not use.
func TestSpreadEnds(t *testing.T) {
	for _, rate := range []float64{0, 10} {
		synctest.Test(t, func(t *testing.T) {
			s := NewSpreader(rate)
			ctx, cancel := context.WithCancel(t.Context())
			sent := 0
			if err := s.Spread(ctx, 10, func(int) error {
				if sent++; sent == 3 {
					cancel()
				}
				return nil
			}); !errors.Is(err, context.Canceled) || sent != 3 {
				t.Errorf("%d sent, %v", sent, err)
			}
			broken := errors.New("broken")
			if err := s.Spread(t.Context(), 10, func(int) error { return broken }); !errors.Is(err, broken) {
				t.Errorf("%v, want send's error", err)
			}
			idle(t, s.turns)
		})
	}
}

// A change of rate counts from the message that is waited for.
func TestSpreadSetRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSpreader(0.001)
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- s.Spread(t.Context(), 101, func(int) error { return nil }) }()
		pass(time.Second)
		s.SetRate(10)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		near(t, "seconds", time.Since(start).Seconds(), 11, 0.05)
	})
}
