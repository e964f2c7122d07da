package pace

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// B13: each of host, peer and transfer is held to its rate, and the tightest
// counts, whatever the size of requests against that of the burst.
func TestRate(t *testing.T) {
	for _, test := range []struct {
		name                 string
		host, peer, transfer float64
		burst, n             int
		want                 float64
	}{
		{"host", 100_000, 0, 0, 1000, 700, 100_000},
		{"peer", 0, 100_000, 0, 1000, 700, 100_000},
		{"transfer", 0, 0, 100_000, 1000, 700, 100_000},
		{"tightest", 300_000, 200_000, 100_000, 1000, 700, 100_000},
		{"tightest above", 100_000, 200_000, 300_000, 1000, 700, 100_000},
		{"requests above the burst", 0, 100_000, 0, 1000, 50_000, 100_000},
		{"no burst", 0, 100_000, 0, 0, 700, 100_000},
		{"slow", 10, 0, 0, 0, 1, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				host := New(nil, test.host, test.burst)
				peer := New(host, test.peer, test.burst)
				transfer := New(peer, test.transfer, test.burst)
				x := newTraffic(t)
				got := x.send(transfer, Bulk, test.n)
				pass(100 * time.Second)
				near(t, "bytes in 100 s", float64(got.Load()), 100*test.want, 0.05)
				x.end()
				idle(t, host, peer, transfer)
			})
		})
	}
}

// B13: two peers share their host's limit, and neither needs to know of the other.
func TestSharedParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := New(nil, 100_000, 10_000)
		small, large := New(host, 20_000, 1000), New(host, 0, 0)
		x := newTraffic(t)
		a, b := x.send(small, Bulk, 1000), x.send(large, Bulk, 1000)
		pass(100 * time.Second)
		near(t, "limited peer", float64(a.Load()), 2_000_000, 0.05)
		near(t, "what it leaves", float64(b.Load()), 8_000_000, 0.05)
		x.end()
		idle(t, host, small, large)
	})
}

// After a pause the burst passes at once and no more; the pause is not saved up.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(nil, 1000, 500)
		pass(time.Hour)
		start := time.Now()
		for i, want := range []time.Duration{0, 0, 0, 0, 0, 0, 100 * time.Millisecond, 200 * time.Millisecond} {
			if err := l.Wait(t.Context(), Bulk, 100); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d != want {
				t.Errorf("request %d after %v, want %v", i, d, want)
			}
		}
	})
}

// A request far above the burst does not wait itself; the next one waits for all
// of it, and not a nanosecond longer.
func TestDebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(nil, 1000, 500)
		start := time.Now()
		for i, want := range []time.Duration{0, 9500 * time.Millisecond} {
			if err := l.Wait(t.Context(), Bulk, 10_000); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d != want {
				t.Errorf("request %d after %v, want %v", i, d, want)
			}
		}
	})
}

// B13: no limit is neither a wait nor an allocation, for whatever says no limit.
func TestUnlimited(t *testing.T) {
	for _, rate := range []float64{0, -1, math.Inf(1), math.NaN()} {
		l := New(New(New(nil, rate, 0), rate, 1), rate, 1)
		if n := testing.AllocsPerRun(100, func() {
			if err := l.Wait(t.Context(), Bulk, math.MaxInt); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("rate %v: %v allocations", rate, n)
		}
		if s := l.Stats(); s != (Stats{}) {
			t.Errorf("rate %v: %+v", rate, s)
		}
	}
	var none *Limiter
	if err := none.Wait(t.Context(), Interactive, 1); err != nil || none.Stats() != (Stats{}) {
		t.Errorf("nil: %v, %+v", err, none.Stats())
	}
}

// SetRate reaches what waits already: at once when the rate rises or the limit
// goes, and without a gift when it falls.
func TestSetRate(t *testing.T) {
	for _, test := range []struct {
		name string
		rate float64
		want time.Duration // from the change
	}{
		{"faster", 10_000, 900 * time.Millisecond},
		{"slower", 100, 90 * time.Second},
		{"none", 0, 0},
		{"hardly any", 1e-300, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				host := New(nil, 1000, 0)
				child := New(host, 0, 0)
				ctx, cancel := context.WithCancel(t.Context())
				if err := child.Wait(ctx, Bulk, 10_005); err != nil { // 5 of them are in the bucket
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() { done <- child.Wait(ctx, Bulk, 1) }()
				pass(time.Second) // 9,000 bytes are owed
				host.SetRate(test.rate, 0)
				changed := time.Now()
				if test.want < 0 {
					pass(1000 * time.Hour)
					cancel()
				}
				err := <-done
				switch d := time.Since(changed); {
				case test.want < 0:
					if !errors.Is(err, context.Canceled) {
						t.Errorf("error %v, want that of ctx", err)
					}
				case err != nil || d != test.want:
					t.Errorf("after %v, %v; want %v", d, err, test.want)
				}
				cancel()
				idle(t, host, child)
			})
		})
	}
}

// A limit that appears binds what comes from then on.
func TestSetRateFromNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := New(nil, 0, 0)
		child := New(host, 0, 0)
		if err := child.Wait(t.Context(), Bulk, 1<<40); err != nil {
			t.Fatal(err)
		}
		host.SetRate(1000, 100)
		if s := host.Stats(); s != (Stats{Rate: 1000, Burst: 100}) {
			t.Errorf("stats %+v", s)
		}
		x := newTraffic(t)
		got := x.send(child, Bulk, 100)
		pass(100 * time.Second)
		near(t, "bytes in 100 s", float64(got.Load()), 100_000, 0.05)
		if n := host.Stats().Waiting; n != 1 {
			t.Errorf("%d waiting, want 1", n)
		}
		x.end()
	})
}

// What waits on one limiter is served in order of arrival.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(New(nil, 1000, 0), 0, 0)
		var mu sync.Mutex
		var order []int
		for i := range 50 {
			go func() {
				if l.Wait(t.Context(), Bulk, 100-i) == nil { // unequal, so that size cannot be the order
					mu.Lock()
					defer mu.Unlock()
					order = append(order, i)
				}
			}()
			synctest.Wait()
		}
		pass(time.Minute)
		if len(order) != 50 || !slices.IsSorted(order) {
			t.Errorf("order %v", order)
		}
	})
}

// Waits that were cancelled have taken nothing, and leave nothing behind.
func TestCancel(t *testing.T) {
	for c := range Class(classes) {
		synctest.Test(t, func(t *testing.T) {
			host := New(nil, 1000, 0)
			peer := New(host, 0, 0)
			limiters := []*Limiter{host, peer}
			x := newTraffic(t)
			got := x.send(peer, c, 100) // the next grant is always due in the last 10 ms of a round
			synctest.Wait()
			for range 1000 {
				short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				transfer := New(peer, 0, 0)
				limiters = append(limiters, transfer)
				for range 2 {
					go func() {
						if err := transfer.Wait(short, c, 1<<20); !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("error %v, want that of ctx", err)
						}
					}()
				}
				pass(100 * time.Millisecond)
				cancel()
			}
			near(t, "bytes in 100 s", float64(got.Load()), 100_000, 0.05)
			x.end()
			idle(t, limiters...)
			fresh := New(nil, 1, 10)
			if err := fresh.Wait(x.ctx, c, 1); !errors.Is(err, context.Canceled) || fresh.balance[c] != 10 {
				t.Errorf("with ctx over: %v, balance %v", err, fresh.balance[c])
			}
		})
	}
}

// Tokens that were granted in the moment in which ctx ended are used.
func TestCancelTooLate(t *testing.T) {
	l := New(nil, 1, 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if l.request(Bulk, 100) != nil {
		t.Fatal("a full bucket made a request wait")
	}
	w := l.request(Bulk, 1)
	l.SetRate(0, 0)
	cancel()
	if err := l.withdraw(ctx, w); err != nil {
		t.Errorf("granted, then %v", err)
	}
	idle(t, l)
}

// A rate too small to be computed with has a timer all the same.
func TestLongestWait(t *testing.T) {
	l := New(nil, 1e-300, 0)
	l.take(Bulk, 1)
	if d := l.delay(Bulk); d != longestWait {
		t.Errorf("delay %v, want %v", d, longestWait)
	}
}

func BenchmarkWaitUnlimited(b *testing.B) {
	l := New(New(New(nil, 0, 0), 0, 0), 0, 0)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_ = l.Wait(ctx, Bulk, 1)
	}
}

func BenchmarkWaitWithinLimit(b *testing.B) {
	l := New(New(New(nil, 1e15, 1<<30), 0, 0), 0, 0)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_ = l.Wait(ctx, Bulk, 1)
	}
}
