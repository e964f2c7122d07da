package actor

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// D8: one message at a time, each seeing what the one before did, in the order
// in which each teller told them.
func TestD8OneMessageAtATime(t *testing.T) {
	const tellers, each = 8, 5_000
	s := newSystem(t, Config{})
	var inside atomic.Int32
	var next [tellers]int // not atomic: the race detector is part of this test
	total := 0
	done := make(chan bool, 1)
	r := spawn(t, s, Func(func(_ *Context, msg any) {
		if inside.Add(1) != 1 {
			t.Error("two messages at a time")
		}
		m := msg.([2]int)
		if m[1] != next[m[0]] {
			t.Errorf("teller %d: message %d came, want %d", m[0], m[1], next[m[0]])
		}
		next[m[0]]++
		if total++; total == tellers*each {
			done <- true
		}
		inside.Add(-1)
	}), Options{})
	for p := range tellers {
		go func() {
			for i := range each {
				if err := r.Tell([2]int{p, i}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	get(t, done)
}

// A message that comes just as a turn ends is not left lying.
func TestNoLostWakeUp(t *testing.T) {
	s := newSystem(t, Config{})
	var handled atomic.Int64
	var pause atomic.Int64
	r := spawn(t, s, Func(func(*Context, any) {
		// The next message comes at once; what is left of this turn is varied, so
		// that it comes at every instant of the turn's end.
		for range handled.Add(1) % 100 {
			pause.Add(1)
		}
	}), Options{})
	limit := time.Now().Add(patience)
	for i := range int64(100_000) {
		r.Tell(nil)
		for spins := 0; handled.Load() != i+1; spins++ {
			if spins%1000 == 999 { // on a single processor spinning is no use
				runtime.Gosched()
			}
			if spins%100_000 == 99_999 && time.Now().After(limit) {
				t.Fatalf("message %d lies in the mailbox", i)
			}
		}
	}
}

// D8: different processes run in parallel: each of these waits for the other.
func TestD8Parallel(t *testing.T) {
	s := newSystem(t, Config{Pool: nil})
	meet := make(chan int)
	done := make(chan bool, 2)
	a := spawn(t, s, Func(func(*Context, any) { meet <- 1; done <- true }), Options{})
	b := spawn(t, s, Func(func(*Context, any) { <-meet; done <- true }), Options{})
	a.Tell(nil)
	b.Tell(nil)
	get(t, done)
	get(t, done)
}

// A busy mailbox yields: with a single worker, a process that tells itself
// without end does not keep another from its message.
func TestBusyProcessYields(t *testing.T) {
	p := NewPool(PoolConfig{Warm: 1, MaxWorkers: 1})
	s := NewSystem(Config{Pool: p})
	stop := false // both processes run on the one worker
	busy := spawn(t, s, Func(func(c *Context, msg any) {
		if !stop {
			c.Self().Tell(msg)
		}
	}), Options{})
	busy.Tell(0)
	done := make(chan bool, 1)
	other := spawn(t, s, Func(func(*Context, any) { stop = true; done <- true }), Options{})
	other.Tell(0)
	get(t, done)
	closeNow(t, s)
	closeNow(t, p)
}

// A1: spawned by a message, gone when it ends, leaving nothing behind.
func TestA1LeavesNothingBehind(t *testing.T) {
	s := newSystem(t, Config{})
	inRegistry := func() (n int) {
		for _, shard := range s.engine.ProcessRegistry.LocalPIDs.LocalPIDs {
			n += shard.Count()
		}
		return n
	}
	before := inRegistry()
	goroutines := runtime.NumGoroutine()

	// A service that begins a conversation for every message. Each has a child
	// and a timer and watches another process.
	const lives = 10_000
	var ended atomic.Int64
	all := make(chan bool, 1)
	watched := spawn(t, s, doer, Options{})
	service := spawn(t, s, Func(func(c *Context, msg any) {
		if _, ok := msg.(Terminated); ok {
			return
		}
		talk, err := c.Spawn(Func(func(c *Context, _ any) {
			c.Watch(watched)
			c.After(time.Hour, "too late")
			c.Spawn(idleProcess, Options{})
			c.Stop(nil)
		}), Options{OnEnd: func(error) {
			if ended.Add(1) == lives {
				all <- true
			}
		}})
		if err != nil {
			t.Error(err)
		}
		talk.Tell(msg)
	}), Options{})
	for range lives {
		service.Tell("begin")
	}
	get(t, all)
	waitLive(t, s, 2)
	// One more turn, behind all that the lives have sent.
	left := make(chan int, 1)
	watched.Tell(do(func(c *Context) {
		left <- len(c.extras.watchers)
	}))
	if n := get(t, left); n != 0 {
		t.Errorf("%d watchers left", n)
	}
	if n := inRegistry(); n != before+2 {
		t.Errorf("registry grew by %d, want the 2 services", n-before)
	}
	if n := runtime.NumGoroutine() - goroutines; n > 2*runtime.GOMAXPROCS(0) {
		t.Errorf("%d more goroutines", n)
	}
	if st := s.Stats(); st.Dropped != 0 || st.Panics != 0 {
		t.Errorf("%+v", st)
	}
}

// waitLive waits until n processes are left.
func waitLive(t testing.TB, s *System, n int64) {
	t.Helper()
	for limit := time.Now().Add(patience); s.Stats().Live != n; runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatalf("%d processes alive, want %d", s.Stats().Live, n)
		}
	}
}

func TestMailboxBound(t *testing.T) {
	s := newSystem(t, Config{})
	handling, release := make(chan bool, 100), make(chan bool)
	r := spawn(t, s, Func(func(*Context, any) { handling <- true; <-release }), Options{MaxMailbox: 3})
	r.Tell(0)
	get(t, handling) // the first is being handled and no longer counts
	for i := range 3 {
		if err := r.Tell(i); err != nil {
			t.Fatalf("message %d of 3: %v", i, err)
		}
	}
	if err := r.Tell("one too many"); !errors.Is(err, ErrMailboxFull) {
		t.Errorf("Tell to a full mailbox = %v", err)
	}
	release <- true
	get(t, handling)
	if err := r.Tell("room again"); err != nil {
		t.Errorf("Tell after one was taken = %v", err)
	}
	if st := s.Stats(); st.Refused != 1 || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
	close(release)
}

// No message is lost without a trace: whatever Tell took is handled or handed
// to Dropped, and so is what it refused because the process had ended.
func TestEveryMessageIsAccountedFor(t *testing.T) {
	const tellers, each = 4, 50
	var mu sync.Mutex
	dropped := map[any]int{}
	s := newSystem(t, Config{Dropped: func(_ *Ref, msg any) {
		mu.Lock()
		dropped[msg]++
		mu.Unlock()
	}})
	for range 300 {
		clear(dropped)
		before := s.Stats().Dropped
		handled := map[any]int{}
		end := make(chan error, 1)
		r := spawn(t, s, Func(func(c *Context, msg any) {
			handled[msg]++
			if len(handled) == each {
				c.Stop(nil)
			}
		}), Options{OnEnd: func(err error) { end <- err }})
		var wg sync.WaitGroup
		for p := range tellers {
			wg.Go(func() {
				for i := range each {
					if err := r.Tell([2]int{p, i}); err != nil && !errors.Is(err, ErrEnded) {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		get(t, end)
		if len(handled) != each {
			t.Fatalf("%d handled after a stop at %d", len(handled), each)
		}
		for p := range tellers {
			for i := range each {
				if m := [2]int{p, i}; handled[m]+dropped[m] != 1 {
					t.Fatalf("message %v: handled %d times, dropped %d times", m, handled[m], dropped[m])
				}
			}
		}
		if n := s.Stats().Dropped - before; n != uint64(len(dropped)) {
			t.Errorf("Stats().Dropped grew by %d, want %d", n, len(dropped))
		}
	}
}

func TestStopSparesTheCurrentMessage(t *testing.T) {
	var dropped []any
	s := NewSystem(Config{Dropped: func(_ *Ref, msg any) { dropped = append(dropped, msg) }})
	handling, release := make(chan bool), make(chan bool)
	var handled []any
	why := errors.New("why")
	end := make(chan error, 1)
	r := spawn(t, s, Func(func(_ *Context, msg any) {
		handling <- true
		<-release
		handled = append(handled, msg)
	}), Options{OnEnd: func(err error) { end <- err }})
	for i := range 4 {
		r.Tell(i)
	}
	get(t, handling)
	r.Stop(why)
	r.Stop(errors.New("only the first reason counts"))
	release <- true
	if err := get(t, end); err != why {
		t.Errorf("reason = %v", err)
	}
	closeNow(t, s)
	if !slices.Equal(handled, []any{0}) || !slices.Equal(dropped, []any{1, 2, 3}) {
		t.Errorf("handled %v, dropped %v", handled, dropped)
	}
	if err := r.Tell(4); !errors.Is(err, ErrEnded) || len(dropped) != 4 {
		t.Errorf("Tell after the end = %v, dropped %v", err, dropped)
	}
}

func TestSpawnErrors(t *testing.T) {
	s := NewSystem(Config{})
	if _, err := s.Spawn(nil, Options{}); err == nil {
		t.Error("Spawn without a Receiver succeeded")
	}
	child := make(chan error, 1)
	r := spawn(t, s, &hooks{stop: func(c *Context, reason error) {
		if reason != ErrClosed {
			t.Errorf("reason of a closed system = %v", reason)
		}
		_, err := c.Spawn(idleProcess, Options{})
		child <- err
	}}, Options{})
	closeNow(t, s)
	if err := get(t, child); !errors.Is(err, ErrClosed) {
		t.Errorf("Context.Spawn while closing = %v", err)
	}
	if _, err := s.Spawn(idleProcess, Options{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Spawn after Close = %v", err)
	}
	if err := r.Tell(0); !errors.Is(err, ErrEnded) {
		t.Errorf("Tell after Close = %v", err)
	}
}

func TestContext(t *testing.T) {
	s := newSystem(t, Config{Name: "here"})
	ids := make(chan string, 1)
	parent := spawn(t, s, Func(func(c *Context, _ any) {
		if c.Parent() != nil || c.System() != s {
			t.Errorf("Parent %v, System %p", c.Parent(), c.System())
		}
		self := c.Self()
		kid, _ := c.Spawn(Func(func(c *Context, _ any) {
			if c.Parent() != self {
				t.Errorf("Parent = %v", c.Parent())
			}
			ids <- c.Self().ID()
		}), Options{})
		kid.Tell(0)
	}), Options{})
	parent.Tell(0)
	id := get(t, ids)
	if want := fmt.Sprint(parent) + "/"; len(id) <= len(want) || id[:len(want)] != want {
		t.Errorf("child's ID %q does not begin with %q", id, want)
	}
}

// Everything here works in virtual time, timers included.
func TestVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, Config{})
		begun := time.Now()
		rang := make(chan time.Duration, 1)
		r := spawn(t, s, Func(func(c *Context, msg any) {
			switch n := msg.(int); n {
			case 0:
				rang <- time.Since(begun)
			default:
				c.After(time.Hour, n-1)
			}
		}), Options{})
		r.Tell(10_000)
		if d := <-rang; d != 10_000*time.Hour {
			t.Errorf("10000 timers of an hour took %v", d)
		}
	})
}

func TestTwoSystems(t *testing.T) {
	a, b := newSystem(t, Config{Name: "a"}), newSystem(t, Config{Name: "b"})
	done := make(chan Terminated, 1)
	rb := spawn(t, b, doer, Options{})
	ra := spawn(t, a, Func(func(c *Context, msg any) {
		switch m := msg.(type) {
		case *Ref:
			c.Watch(m)
			m.Tell(do(func(c *Context) { c.Stop(errors.New("bye")) }))
		case Terminated:
			done <- m
		}
	}), Options{})
	ra.Tell(rb)
	if m := get(t, done); m.Ref != rb || m.Reason.Error() != "bye" {
		t.Errorf("told %v", m)
	}
}

// A pool that is closed too early must not hang the systems on it.
func TestPoolClosedBeforeSystem(t *testing.T) {
	p := NewPool(PoolConfig{})
	s := NewSystem(Config{Pool: p})
	r := spawn(t, s, idleProcess, Options{})
	closeNow(t, p)
	r.Tell(0)
	closeNow(t, s)
}

// A6: processes whose handlers block have a pool of their own if they want.
func TestA6OwnPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := NewPool(PoolConfig{Warm: 1, MaxWorkers: 1})
		s := NewSystem(Config{})
		release := make(chan bool)
		slow := spawn(t, s, Func(func(*Context, any) { <-release }), Options{Pool: db})
		queued := spawn(t, s, Func(func(*Context, any) { <-release }), Options{Pool: db})
		slow.Tell(0)
		queued.Tell(0)
		begun := time.Now()
		done := make(chan bool, 1)
		spawn(t, s, Func(func(*Context, any) { done <- true }), Options{}).Tell(0)
		<-done
		if d := time.Since(begun); d != 0 {
			t.Errorf("a process on another pool waited %v", d)
		}
		close(release)
		closeNow(t, s)
		closeNow(t, db)
	})
}
