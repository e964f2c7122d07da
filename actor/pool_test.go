package actor

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPoolRunsEverything(t *testing.T) {
	p := NewPool(PoolConfig{Warm: 2})
	var n atomic.Int64
	for range 10_000 {
		if err := p.Go(func() { n.Add(1) }); err != nil {
			t.Fatal(err)
		}
	}
	closeNow(t, p)
	if n.Load() != 10_000 {
		t.Errorf("%d of 10000 functions ran before Close returned", n.Load())
	}
	if err := p.Go(func() {}); !errors.Is(err, ErrClosed) {
		t.Errorf("Go after Close = %v", err)
	}
	closeNow(t, p) // twice is once
}

func TestPoolClosesUnused(t *testing.T) { closeNow(t, NewPool(PoolConfig{})) }

// A6: handlers that block do not starve others.
func TestPoolGrowsWhileBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(PoolConfig{Warm: 2})
		release := make(chan struct{})
		for range 200 {
			p.Go(func() { <-release })
		}
		begun := time.Now()
		ran := make(chan time.Duration, 1)
		p.Go(func() { ran <- time.Since(begun) })
		// Work is seen to be stuck at the second look after it began, so that the
		// number of workers grows like Fibonacci's, to 200 in a dozen looks.
		if d := get(t, ran); d > 20*shortLook {
			t.Errorf("a function behind 200 blocked ones ran after %v", d)
		}
		close(release)
		synctest.Wait()
		if s := p.Stats(); s.Workers > 256 || s.Idle != s.Workers || s.Queued != 0 {
			t.Errorf("after the block: %+v", s)
		}
		closeNow(t, p)
	})
}

// A handler that waits a millisecond for a database must not hold throughput
// down to one result per warm worker and millisecond.
func TestPoolGrowsForShortWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(PoolConfig{Warm: 2})
		const wait = 1100 * time.Microsecond // ends at no look's instant
		begun := time.Now()
		var wg sync.WaitGroup
		for range 2000 {
			wg.Add(1)
			p.Go(func() { <-time.After(wait); wg.Done() })
		}
		wg.Wait()
		if d := time.Since(begun); d > 20*time.Millisecond {
			t.Errorf("2000 waits of %v took %v; two workers alone take 1.1 s", wait, d)
		}
		closeNow(t, p)
	})
}

func TestPoolCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(PoolConfig{Warm: 2, MaxWorkers: 7})
		release := make(chan struct{})
		for range 50 {
			p.Go(func() { <-release })
		}
		<-time.After(time.Hour)
		if s := p.Stats(); s.Workers != 7 || s.Queued != 43 {
			t.Errorf("at the cap: %+v", s)
		}
		close(release)
		synctest.Wait()
		if s := p.Stats(); s.Queued != 0 {
			t.Errorf("after the block: %+v", s)
		}
		closeNow(t, p)
	})
}

func TestPoolShrinksToWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(PoolConfig{Warm: 3})
		for range 2 { // the second growth needs the timers a second time
			release := make(chan struct{})
			for range 100 {
				p.Go(func() { <-release })
			}
			<-time.After(100 * time.Millisecond)
			if s := p.Stats(); s.Workers != 100 {
				t.Errorf("while 100 functions block: %+v", s)
			}
			close(release)
			<-time.After(2*idleTime + time.Millisecond)
			if s := p.Stats(); s.Workers != 3 || s.Idle != 3 {
				t.Errorf("%v after the block: %+v", 2*idleTime, s)
			}
		}
		closeNow(t, p)
	})
}

// Workers that are needed now and then stay.
func TestPoolKeepsWorkersInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(PoolConfig{Warm: 1})
		for range 20 {
			release := make(chan struct{})
			var running sync.WaitGroup
			for range 8 {
				running.Add(1)
				p.Go(func() { running.Done(); <-release })
			}
			begun := time.Now()
			running.Wait()
			if d := time.Since(begun); d > 8*shortLook {
				t.Errorf("8 functions were running after %v", d)
			}
			close(release)
			<-time.After(idleTime / 2)
			if s := p.Stats(); s.Workers < 8 {
				t.Fatalf("workers in use every %v left: %+v", idleTime/2, s)
			}
		}
		closeNow(t, p)
	})
}

// An idle pool has no timer running, nor has one whose workers are all busy
// with nothing queued: virtual time could step over years for free.
func TestPoolIsSilentWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(PoolConfig{Warm: 2})
		release := make(chan struct{})
		for range 40 {
			p.Go(func() { <-release })
		}
		<-time.After(time.Minute)
		check := func(when string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.monitor.watching || p.monitor.reaping {
				t.Errorf("%s: watching %v, reaping %v", when, p.monitor.watching, p.monitor.reaping)
			}
		}
		check("all workers busy, nothing queued")
		close(release)
		<-time.After(time.Minute)
		check("idle")
		closeNow(t, p)
	})
}

func TestPoolCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(PoolConfig{Warm: 1})
		release := make(chan struct{})
		var ran atomic.Int32
		p.Go(func() { <-release; ran.Add(1) })
		p.Go(func() { ran.Add(1) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close while a function blocks = %v", err)
		}
		close(release)
		closeNow(t, p)
		if ran.Load() != 2 {
			t.Errorf("%d of 2 accepted functions ran", ran.Load())
		}
	})
}

// A3: a panic in a pooled function ends that function.
func TestPoolSurvivesPanic(t *testing.T) {
	var log bytes.Buffer
	p := NewPool(PoolConfig{Warm: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	p.Go(func() { panic("boom") })
	ran := make(chan bool, 1)
	p.Go(func() { ran <- true })
	get(t, ran)
	if s := p.Stats(); s.Panics != 1 || s.Workers != 1 {
		t.Errorf("%+v", s)
	}
	closeNow(t, p)
	if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "TestPoolSurvivesPanic") {
		t.Errorf("log lacks the value or the stack: %s", log.String())
	}
}

func TestPoolSurvivesGoexit(t *testing.T) {
	p := NewPool(PoolConfig{Warm: 1})
	for range 10 {
		p.Go(runtime.Goexit)
	}
	ran := make(chan bool, 1)
	p.Go(func() { ran <- true })
	get(t, ran)
	closeNow(t, p)
}
