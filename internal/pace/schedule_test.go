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

// Each class waits for what it owes itself and not a nanosecond longer, whatever
// the other waits for.
func TestOwnDebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(nil, 1000, 500)
		start := time.Now()
		for _, take := range []struct {
			class Class
			n     int
		}{{Bulk, 9000}, {Interactive, 1500}} {
			if err := l.Wait(t.Context(), take.class, take.n); err != nil {
				t.Fatal(err)
			}
		}
		var done sync.WaitGroup
		for c, want := range []time.Duration{
			Interactive: time.Second,
			Bulk:        10*time.Second + time.Millisecond, // the last is for the byte that went before it
		} {
			done.Go(func() {
				if err := l.Wait(t.Context(), Class(c), 1); err != nil || time.Since(start) != want {
					t.Errorf("class %d after %v, %v; want %v", c, time.Since(start), err, want)
				}
			})
		}
		done.Wait()
	})
}

// A timer that is late lets nobody past those who wait for it.
func TestLateTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(nil, 1000, 500)
		x := newTraffic(t)
		if err := l.Wait(x.ctx, Bulk, 10_000); err != nil {
			t.Fatal(err)
		}
		first := x.send(l, Bulk, 10_000)
		synctest.Wait()
		l.tree.mu.Lock()
		l.filled = l.filled.Add(-time.Hour)
		l.tree.mu.Unlock()
		second := x.send(l, Bulk, 10_000)
		synctest.Wait()
		if first.Load() != 10_000 || second.Load() != 0 {
			t.Errorf("first has got %d bytes, second %d", first.Load(), second.Load())
		}
		x.end()
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
	const largest = 500
	rate := func() float64 { return float64(r.IntN(3) * r.IntN(2000)) }
	limiters := []*Limiter{New(nil, 1000, r.IntN(1000))}
	for range 10 {
		limiters = append(limiters, New(limiters[r.IntN(len(limiters))], rate(), r.IntN(1000)))
	}
	passed := make(map[*Limiter]*[classes]atomic.Int64)
	for _, l := range limiters {
		passed[l] = new([classes]atomic.Int64)
	}
	var calls sync.WaitGroup
	start := time.Now()
	call := func(l *Limiter) {
		ctx, cancel := context.WithCancel(t.Context())
		if r.IntN(3) == 0 {
			ctx, cancel = context.WithTimeout(t.Context(), time.Duration(r.IntN(1000))*time.Millisecond)
		}
		c, n := Class(r.IntN(classes)), 1+r.IntN(largest)
		calls.Go(func() {
			defer cancel()
			if l.Wait(ctx, c, n) == nil {
				for p := l; p != nil; p = p.parent {
					passed[p][c].Add(int64(n))
				}
			}
		})
		synctest.Wait()
	}
	for range 300 {
		switch r.IntN(8) {
		case 0:
			limiters[6+r.IntN(5)].SetRate(rate(), r.IntN(1000))
		case 1:
			pass(time.Duration(r.IntN(1_000_000)) * time.Microsecond)
		default:
			call(limiters[r.IntN(len(limiters))])
		}
		for i, l := range limiters[:6] { // those whose rates stay
			allowed := l.burst + l.rate*time.Since(start).Seconds() + largest
			interactive, bulk := float64(passed[l][Interactive].Load()), float64(passed[l][Bulk].Load())
			if l.rate > 0 && (interactive > allowed || bulk > allowed || interactive+bulk > allowed+l.burst+largest) {
				t.Fatalf("limiter %d: %.0f interactive and %.0f bulk bytes passed where %.0f may", i, interactive, bulk, allowed)
			}
		}
	}
	if r.IntN(2) == 0 {
		for _, l := range limiters[1:] {
			l.SetRate(0, 0)
		}
	}
	calls.Wait() // a lost wake-up is a deadlock, which the bubble reports
	idle(t, limiters...)
}
