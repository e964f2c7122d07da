package pace

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// B13: a peer with a hundred transfers gets no more than a peer with one, and a
// transfer that asks for much at once no more than one that asks for little.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := New(nil, 1_000_000, 10_000)
		many, one, large := New(host, 0, 0), New(host, 0, 0), New(host, 0, 0)
		x := newTraffic(t)
		var crowd []*atomic.Int64
		for range 100 {
			crowd = append(crowd, x.send(New(many, 0, 0), Bulk, 1000))
		}
		single := x.send(New(one, 0, 0), Bulk, 1000)
		block := x.send(New(large, 0, 0), Bulk, 16_000)
		pass(1000 * time.Second)
		third := 1e9 / 3
		sum := 0.0
		for _, got := range crowd {
			sum += float64(got.Load())
			near(t, "one of a hundred transfers", float64(got.Load()), third/100, 0.1)
		}
		near(t, "a hundred transfers", sum, third, 0.1)
		near(t, "one transfer", float64(single.Load()), third, 0.1)
		near(t, "one transfer of large pieces", float64(block.Load()), third, 0.1)
		x.end()
		idle(t, host, many, one, large)
	})
}

// A peer that was served alone owes nothing to one that comes later.
func TestNewcomer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := New(nil, 1000, 0)
		early, late := New(host, 0, 0), New(host, 0, 0)
		x := newTraffic(t)
		a := x.send(early, Bulk, 10)
		pass(1000 * time.Second)
		before := a.Load()
		b := x.send(late, Bulk, 10)
		pass(100 * time.Second)
		near(t, "the early one", float64(a.Load()-before), 50_000, 0.1)
		near(t, "the late one", float64(b.Load()), 50_000, 0.1)
		x.end()
	})
}

// B13: bulk yields to interactive traffic, at the limiter that is short as at
// those above it, and gets what that leaves.
func TestInteractiveFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := New(nil, 100_000, 64_000)
		peer := New(host, 0, 0)
		stream, lane := New(peer, 0, 0), New(peer, 0, 0)
		x := newTraffic(t)
		bulk := x.send(stream, Bulk, 64_000)
		pass(10 * time.Second)
		before := bulk.Load()
		worst := time.Duration(0)
		for range 1000 { // a tenth of the rate
			start := time.Now()
			if err := lane.Wait(t.Context(), Interactive, 1000); err != nil {
				t.Fatal(err)
			}
			worst = max(worst, time.Since(start))
			pass(100 * time.Millisecond)
		}
		if worst > 0 {
			t.Errorf("interactive traffic waited %v for bulk", worst)
		}
		near(t, "what is left for bulk", float64(bulk.Load()-before), 100*90_000, 0.05)

		got := x.send(lane, Interactive, 1000)
		before = bulk.Load()
		pass(100 * time.Second)
		near(t, "interactive traffic at its limit", float64(got.Load()), 100*100_000, 0.05)
		if n := bulk.Load() - before; n > 64_000 {
			t.Errorf("bulk got %d bytes beside it", n)
		}
		x.end()
		idle(t, host, peer, stream, lane)
	})
}

// Nothing is lost whatever happens in whatever order: no wake-up, no token, and
// no limit is broken. Seeded.
func TestRandomTrees(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) { randomTree(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func randomTree(t *testing.T, r *rand.Rand) {
	limiters := []*Limiter{New(nil, 1000, r.IntN(1000))}
	for range 10 {
		limiters = append(limiters, New(limiters[r.IntN(len(limiters))], float64(r.IntN(3)*r.IntN(2000)), r.IntN(1000)))
	}
	root := limiters[0]
	var passed [classes]atomic.Int64
	var calls sync.WaitGroup
	start := time.Now()
	const largest = 500
	for range 300 {
		l := limiters[r.IntN(len(limiters))]
		switch r.IntN(8) {
		case 0:
			if l != root {
				l.SetRate(float64(r.IntN(3)*r.IntN(2000)), r.IntN(1000))
			}
		case 1:
			pass(time.Duration(r.IntN(1_000_000)) * time.Microsecond)
		default:
			ctx, cancel := context.WithCancel(t.Context())
			if r.IntN(3) == 0 {
				ctx, cancel = context.WithTimeout(t.Context(), time.Duration(r.IntN(1000))*time.Millisecond)
			}
			c, n := Class(r.IntN(classes)), 1+r.IntN(largest)
			calls.Go(func() {
				defer cancel()
				if l.Wait(ctx, c, n) == nil {
					passed[c].Add(int64(n))
				}
			})
			synctest.Wait()
		}
		allowed := root.burst + root.rate*time.Since(start).Seconds() + largest
		interactive, bulk := float64(passed[Interactive].Load()), float64(passed[Bulk].Load())
		if interactive > allowed || bulk > allowed || interactive+bulk > allowed+root.burst+largest {
			t.Fatalf("%.0f interactive and %.0f bulk bytes passed where %.0f may", interactive, bulk, allowed)
		}
	}
	for _, l := range limiters[1:] {
		l.SetRate(0, 0)
	}
	left := root.Stats().Waiting
	began, before := time.Now(), passed[Interactive].Load()+passed[Bulk].Load()
	calls.Wait()
	if took, sent := time.Since(began).Seconds(), float64(passed[Interactive].Load()+passed[Bulk].Load()-before); sent < root.rate*took-2*largest-root.burst {
		t.Errorf("the last %d calls got %.0f bytes in %.3f s", left, sent, took)
	}
	idle(t, limiters...)
}
