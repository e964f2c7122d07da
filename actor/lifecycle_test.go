package actor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hooks is a Receiver made of functions.
type hooks struct {
	start   func(*Context)
	receive func(*Context, any)
	stop    func(*Context, error)
}

func (h *hooks) Start(c *Context) {
	if h.start != nil {
		h.start(c)
	}
}

func (h *hooks) Receive(c *Context, msg any) {
	if h.receive != nil {
		h.receive(c, msg)
	}
}

func (h *hooks) Stop(c *Context, reason error) {
	if h.stop != nil {
		h.stop(c, reason)
	}
}

// events is a list that several processes write.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) add(s string) {
	e.mu.Lock()
	e.list = append(e.list, s)
	e.mu.Unlock()
}

// A2: when a process ends its children end first; their Stop hooks run after
// its own.
func TestA2ChildrenEndFirst(t *testing.T) {
	s := newSystem(t, Config{})
	var e events
	reasons := make(chan error, 10)
	node := func(name string, kids func(c *Context)) (Receiver, Options) {
		return &hooks{
				start: func(c *Context) {
					if kids != nil {
						kids(c)
					}
				},
				stop: func(*Context, error) { e.add("stop " + name) },
				receive: func(_ *Context, msg any) {
					t.Errorf("%s got %v", name, msg)
				},
			}, Options{OnEnd: func(err error) {
				e.add("end " + name)
				reasons <- err
			}}
	}
	ready := make(chan bool, 1)
	r, o := node("a", func(c *Context) {
		c.Spawn(node("b", func(c *Context) {
			c.Spawn(node("c", func(*Context) { ready <- true }))
		}))
	})
	a := spawn(t, s, r, o)
	get(t, ready)
	why := errors.New("why")
	a.Stop(why)
	got := []error{get(t, reasons), get(t, reasons), get(t, reasons)}
	if want := []error{ErrParentEnded, ErrParentEnded, why}; !slices.Equal(got, want) {
		t.Errorf("reasons %v, want %v", got, want)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if got, want := strings.Join(e.list, ", "), "stop a, stop b, stop c, end c, end b, end a"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// A2: a child's end is told to its parent with the reason, after everything
// the child told it.
func TestA2ParentIsTold(t *testing.T) {
	s := newSystem(t, Config{})
	told := make(chan any, 300)
	parent := spawn(t, s, Func(func(c *Context, msg any) {
		if msg == "spawn" {
			kid, _ := c.Spawn(Func(func(c *Context, msg any) {
				for i := range 200 {
					c.Parent().Tell(i)
				}
				c.Stop(msg.(error))
			}), Options{})
			kid.Tell(io.EOF)
			return
		}
		told <- msg
	}), Options{})
	parent.Tell("spawn")
	for i := range 200 {
		if m := get(t, told); m != i {
			t.Fatalf("message %d of the child is %v", i, m)
		}
	}
	if m := get(t, told).(Terminated); m.Reason != io.EOF || m.Ref == nil || m.Ref == parent {
		t.Errorf("told %v", m)
	}
}

func TestWatch(t *testing.T) {
	s := newSystem(t, Config{})
	told := make(chan Terminated, 10)
	watcher := spawn(t, s, Func(func(c *Context, msg any) {
		switch m := msg.(type) {
		case do:
			m(c)
		case Terminated:
			told <- m
		}
	}), Options{})
	in := func(f do) { // runs f in the watcher's turn
		t.Helper()
		done := make(chan bool)
		watcher.Tell(do(func(c *Context) { f(c); close(done) }))
		get(t, done)
	}
	end := func() (*Ref, <-chan error) {
		c := make(chan error, 1)
		return spawn(t, s, idleProcess, Options{OnEnd: func(err error) { c <- err }}), c
	}

	a, aEnded := end()
	in(func(c *Context) { c.Watch(a); c.Watch(a); c.Watch(c.Self()) })
	a.Stop(io.EOF)
	get(t, aEnded)
	if m := get(t, told); m != (Terminated{a, io.EOF}) {
		t.Errorf("watching: told %v", m)
	}

	waitLive(t, s, 1)
	in(func(c *Context) { c.Watch(a) }) // dead already
	if m := get(t, told); m != (Terminated{a, io.EOF}) {
		t.Errorf("watching a dead process: told %v", m)
	}

	b, bEnded := end()
	in(func(c *Context) {
		c.Unwatch(b) // never watched
		c.Watch(b)
		b.Stop(nil)
		<-bEnded
		// Terminated is in the mailbox now or will be; Unwatch comes before it.
		c.Unwatch(b)
	})
	kid := make(chan *Ref, 1)
	in(func(c *Context) {
		k, _ := c.Spawn(doer, Options{})
		c.Watch(k)
		kid <- k
	})
	k := get(t, kid)
	k.Stop(nil)
	if m := get(t, told); m != (Terminated{k, nil}) {
		t.Errorf("watching a child: told %v", m)
	}
	in(func(*Context) {})
	select {
	case m := <-told:
		t.Errorf("told %v besides", m)
	default:
	}
}

// Watching races with the end: it is told exactly once, with the reason.
func TestWatchRacesWithEnd(t *testing.T) {
	s := newSystem(t, Config{})
	for range 2000 {
		told := make(chan Terminated, 2)
		victim := spawn(t, s, idleProcess, Options{})
		watcher := spawn(t, s, Func(func(c *Context, msg any) {
			switch m := msg.(type) {
			case *Ref:
				c.Watch(m)
			case Terminated:
				told <- m
			}
		}), Options{})
		go victim.Stop(io.EOF)
		watcher.Tell(victim)
		if m := get(t, told); m != (Terminated{victim, io.EOF}) {
			t.Fatalf("told %v", m)
		}
		watcher.Stop(nil)
	}
}

// A3: a panic ends that process alone; its reason carries value and stack.
func TestA3PanicEndsTheProcessAlone(t *testing.T) {
	var log syncBuffer
	s := newSystem(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ends := make(chan error, 3)
	told := make(chan Terminated, 1)
	alive := make(chan bool, 2)
	var sibling *Ref
	parent := spawn(t, s, Func(func(c *Context, msg any) {
		switch m := msg.(type) {
		case Terminated:
			told <- m
		case string:
			sibling, _ = c.Spawn(Func(func(*Context, any) { alive <- true }), Options{})
			kid, _ := c.Spawn(Func(func(_ *Context, msg any) { panic(msg) }), Options{
				OnEnd: func(err error) { ends <- err }})
			kid.Tell(io.ErrUnexpectedEOF)
		case int:
			alive <- true
		}
	}), Options{})
	parent.Tell("go")
	m := get(t, told)
	var p *PanicError
	if !errors.As(m.Reason, &p) || !errors.Is(m.Reason, io.ErrUnexpectedEOF) {
		t.Fatalf("reason %v", m.Reason)
	}
	if !bytes.Contains(p.Stack, []byte("TestA3PanicEndsTheProcessAlone")) {
		t.Errorf("stack lacks the panicking function:\n%s", p.Stack)
	}
	if get(t, ends) != m.Reason {
		t.Error("OnEnd and parent were given different reasons")
	}
	sibling.Tell(0)
	get(t, alive)
	parent.Tell(0)
	get(t, alive)
	if len(ends) != 0 {
		t.Error("OnEnd was called more than once")
	}
	waitLive(t, s, 2)
	if st := s.Stats(); st.Panics != 1 {
		t.Errorf("%+v", st)
	}
	if !strings.Contains(log.String(), "unexpected EOF") || !strings.Contains(log.String(), m.Ref.ID()) {
		t.Errorf("log: %s", log.String())
	}
}

// A3: whatever hook panics or exits, the process ends, OnEnd is called once, its
// children end, its watchers are told, and Close returns.
func TestA3NoHookHangsAnyone(t *testing.T) {
	boom := func() { panic("boom") }
	isPanic := func(err error) bool { return errors.As(err, new(*PanicError)) }
	isExit := func(err error) bool { return err == ErrGoexit }
	isNil := func(err error) bool { return err == nil }
	for _, x := range []struct {
		name  string
		hooks func(fail func()) *hooks
		onEnd bool // OnEnd panics as well
		want  func(error) bool
		exit  bool
	}{
		{"panic in Start", func(f func()) *hooks { return &hooks{start: func(*Context) { f() }} }, false, isPanic, false},
		{"exit in Start", func(f func()) *hooks { return &hooks{start: func(*Context) { f() }} }, false, isExit, true},
		{"panic in Receive", func(f func()) *hooks { return &hooks{receive: func(*Context, any) { f() }} }, false, isPanic, false},
		{"exit in Receive", func(f func()) *hooks { return &hooks{receive: func(*Context, any) { f() }} }, false, isExit, true},
		{"panic in Stop", func(f func()) *hooks { return &hooks{stop: func(*Context, error) { f() }} }, false, isPanic, false},
		{"exit in Stop", func(f func()) *hooks { return &hooks{stop: func(*Context, error) { f() }} }, false, isExit, true},
		{"panic in Receive, then in Stop", func(f func()) *hooks {
			return &hooks{receive: func(*Context, any) { f() }, stop: func(*Context, error) { panic("second") }}
		}, true, func(err error) bool { return isPanic(err) && err.Error() == "actor: panic: boom" }, false},
		{"panic in OnEnd", func(func()) *hooks { return &hooks{} }, true, isNil, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := NewSystem(Config{})
			fail := boom
			if x.exit {
				fail = runtime.Goexit
			}
			h := x.hooks(fail)
			spawnKid := func(c *Context) { c.Spawn(idleProcess, Options{}) }
			if start := h.start; start != nil {
				h.start = func(c *Context) { spawnKid(c); start(c) }
			} else {
				h.start = spawnKid
			}
			ends := make(chan error, 10)
			r := spawn(t, s, h, Options{OnEnd: func(err error) {
				ends <- err
				if x.onEnd {
					panic("end")
				}
			}})
			told := make(chan Terminated, 10)
			watcher := spawn(t, s, Func(func(c *Context, msg any) {
				switch m := msg.(type) {
				case Terminated:
					told <- m
				case *Ref:
					c.Watch(m)
				}
			}), Options{})
			watcher.Tell(r)
			r.Tell("go")
			r.Tell("behind")
			if h.receive == nil {
				r.Stop(nil)
			}
			if err := get(t, ends); !x.want(err) {
				t.Errorf("OnEnd was given %v", err)
			}
			if m := get(t, told); m.Ref != r || !x.want(m.Reason) {
				t.Errorf("watcher was told %v", m)
			}
			closeNow(t, s)
			if len(ends) != 0 || len(told) != 0 {
				t.Errorf("%d more calls of OnEnd, %d more Terminated", len(ends), len(told))
			}
		})
	}
}

func TestA3DroppedMayPanic(t *testing.T) {
	s := NewSystem(Config{Dropped: func(*Ref, any) { panic("boom") }})
	r := spawn(t, s, Func(func(c *Context, _ any) { c.Self().Tell(1); c.Stop(nil) }), Options{})
	r.Tell(0)
	waitLive(t, s, 0)
	if err := r.Tell(2); !errors.Is(err, ErrEnded) {
		t.Errorf("Tell = %v", err)
	}
	closeNow(t, s)
	if st := s.Stats(); st.Dropped != 2 || st.Panics != 2 {
		t.Errorf("%+v", st)
	}
}

// A3: restarts, within limits, with a fresh Receiver; Ref and mailbox stay,
// children, timers and watches go.
func TestA3Restart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSystem(Config{})
		made := 0
		var log []any
		kidEnds := make(chan error, 10)
		fresh := func() Receiver {
			made++
			n := made
			return &hooks{
				start: func(c *Context) {
					log = append(log, "start")
					c.Spawn(idleProcess, Options{OnEnd: func(err error) { kidEnds <- err }})
					if n == 1 {
						c.After(time.Minute, "timer of the first")
					}
				},
				receive: func(c *Context, msg any) {
					switch msg {
					case "boom late":
						c.After(time.Second, "fired when its process restarts")
						<-time.After(2 * time.Second)
						panic(msg)
					case "boom":
						panic(msg)
					}
					log = append(log, msg)
				},
				stop: func(_ *Context, reason error) { log = append(log, "stop") },
			}
		}
		ends := make(chan error, 10)
		r := spawn(t, s, fresh(), Options{
			Restart: Restart{New: fresh, Max: 2, Within: 10 * time.Second},
			OnEnd:   func(err error) { ends <- err },
		})
		r.Tell(1)
		r.Tell("boom")
		r.Tell(2)
		r.Tell("boom")
		r.Tell(3)
		synctest.Wait()
		if made != 3 || len(kidEnds) != 2 || <-kidEnds != ErrParentEnded || <-kidEnds != ErrParentEnded {
			t.Errorf("%d receivers made, %d children ended", made, len(kidEnds))
		}
		<-time.After(10 * time.Second) // both restarts are out of the window
		r.Tell("boom")
		<-time.After(9 * time.Second)
		r.Tell("boom")
		<-time.After(time.Minute)
		r.Tell("boom late")
		r.Tell("boom")
		<-time.After(time.Minute)
		r.Tell(4)
		synctest.Wait()
		if len(ends) != 0 {
			t.Fatalf("ended: %v", <-ends)
		}
		r.Tell("boom")
		r.Tell("boom")
		r.Tell("boom")
		r.Tell("behind")
		if err := <-ends; err.Error() != "actor: panic: boom" {
			t.Errorf("reason %v", err)
		}
		closeNow(t, s)
		want := []any{"start", 1, "start", 2, "start", 3, "start", "start", "start", "start", 4, "start", "start", "stop"}
		if !slices.Equal(log, want) {
			t.Errorf("got  %v\nwant %v", log, want)
		}
		if st := s.Stats(); st.Restarts != 8 || st.Panics != 9 || st.Dropped != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// A3: a panic in the constructor, or in Start, of a fresh Receiver is a failure
// too, and does not go on for ever.
func TestA3RestartConstructorPanics(t *testing.T) {
	for name, fresh := range map[string]func() Receiver{
		"New":   func() Receiver { panic("boom") },
		"nil":   func() Receiver { return nil },
		"exit":  func() Receiver { runtime.Goexit(); return nil },
		"Start": func() Receiver { return &hooks{start: func(*Context) { panic("boom") }} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t, Config{})
			ends := make(chan error, 10)
			r := spawn(t, s, Func(func(*Context, any) { panic("first") }), Options{
				Restart: Restart{New: fresh, Max: 5},
				OnEnd:   func(err error) { ends <- err },
			})
			r.Tell(0)
			r.Tell(1)
			if err := get(t, ends); err == nil {
				t.Error("ended without a reason")
			}
			if st := s.Stats(); st.Restarts != 5 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// A process that is stopped while it waits for its children to restart ends.
func TestA3StopDuringRestart(t *testing.T) {
	s := newSystem(t, Config{})
	inKid, release := make(chan bool, 1), make(chan bool)
	ends := make(chan error, 2)
	fresh := func() Receiver { t.Error("restarted"); return idleProcess }
	r := spawn(t, s, Func(func(c *Context, msg any) {
		kid, _ := c.Spawn(Func(func(*Context, any) { inKid <- true; <-release }), Options{})
		kid.Tell(0)
		get(t, inKid)
		panic("boom")
	}), Options{Restart: Restart{New: fresh, Max: 5}, OnEnd: func(err error) { ends <- err }})
	r.Tell(0)
	for limit := time.Now().Add(patience); s.Stats().Restarts == 0 && time.Now().Before(limit); runtime.Gosched() {
	}
	r.Stop(io.EOF)
	close(release)
	if err := get(t, ends); err != io.EOF {
		t.Errorf("reason %v", err)
	}
}

func TestTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, Config{})
		got := make(chan any, 10)
		r := spawn(t, s, Func(func(c *Context, msg any) {
			switch m := msg.(type) {
			case do:
				m(c)
			default:
				got <- m
			}
		}), Options{MaxMailbox: 1})
		var stopped, late *Timer
		r.Tell(do(func(c *Context) {
			c.After(2*time.Second, "second")
			c.After(time.Second, "first")
			stopped = c.After(time.Second, "stopped")
			late = c.After(5*time.Second, "late")
			if !stopped.Stop() || stopped.Stop() {
				t.Error("Stop of a running timer, twice: want true, false")
			}
		}))
		begun := time.Now()
		if m := <-got; m != "first" || time.Since(begun) != time.Second {
			t.Errorf("%v after %v", m, time.Since(begun))
		}
		if m := <-got; m != "second" || time.Since(begun) != 2*time.Second {
			t.Errorf("%v after %v", m, time.Since(begun))
		}
		r.Tell(do(func(*Context) {
			<-time.After(10 * time.Second) // late has fired and waits behind this
			if !late.Stop() {
				t.Error("Stop of a fired timer whose message waits = false")
			}
		}))
		<-time.After(time.Minute)
		var dead *Timer
		r.Tell(do(func(c *Context) { dead = c.After(time.Hour, "dead"); c.Stop(nil) }))
		synctest.Wait()
		if dead.timer.Stop() {
			t.Error("the timer of an ended process was still running")
		}
		if len(got) != 0 {
			t.Errorf("got %v", <-got)
		}
		if st := s.Stats(); st.Dropped != 0 || st.Refused != 0 || st.Live != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A stop that crosses with the end of a child hangs nobody and wakes nothing of
// the engine's that would outlive Close.
func TestA2StopCrossesChildsEnd(t *testing.T) {
	s := NewSystem(Config{})
	kidEnd, end := make(chan error, 1), make(chan error, 1)
	parent := spawn(t, s, Func(func(c *Context, _ any) {
		kid, _ := c.Spawn(idleProcess, Options{OnEnd: func(err error) { kidEnd <- err }})
		kid.Stop(nil)
		<-kidEnd // gone from the registry; the engine's half of c learns it later
		c.Stop(nil)
	}), Options{OnEnd: func(err error) { end <- err }})
	parent.Tell(0)
	if err := get(t, end); err != nil {
		t.Fatal(err)
	}
	closeNow(t, s)
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if bytes.Contains(stacks, []byte("protoactor-go")) {
		t.Errorf("left behind:\n%s", stacks)
	}
}

// Close gives up waiting with its context, and can be called again.
func TestCloseWithBlockedHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSystem(Config{})
		release := make(chan bool)
		spawn(t, s, Func(func(*Context, any) { <-release }), Options{}).Tell(0)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close = %v", err)
		}
		close(release)
		closeNow(t, s)
		closeNow(t, s)
	})
}

// Spawns race with Close: each either fails or is ended by it.
func TestCloseRacesWithSpawn(t *testing.T) {
	for range 20 {
		s := NewSystem(Config{})
		var wg sync.WaitGroup
		var begun, over sync.Map
		for p := range 4 {
			wg.Go(func() {
				for i := range 200 {
					key := [2]int{p, i}
					if _, err := s.Spawn(idleProcess, Options{OnEnd: func(error) { over.Store(key, true) }}); err != nil {
						return
					}
					begun.Store(key, true)
				}
			})
		}
		closeNow(t, s)
		wg.Wait()
		begun.Range(func(k, _ any) bool {
			if _, ok := over.Load(k); !ok {
				t.Errorf("process %v was not ended", k)
			}
			return true
		})
		if n := s.Stats().Live; n != 0 {
			t.Errorf("%d alive after Close", n)
		}
	}
}

// Nothing is printed unless a Logger is given.
func TestSilentByDefault(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, stdout := os.Stderr, os.Stdout
	os.Stderr, os.Stdout = w, w
	s := NewSystem(Config{})
	p := spawn(t, s, Func(func(*Context, any) { panic("boom") }), Options{})
	p.Tell(0)
	waitLive(t, s, 0)
	p.Tell(1)
	closeNow(t, s)
	os.Stderr, os.Stdout = stderr, stdout
	w.Close()
	if out, _ := io.ReadAll(r); len(out) != 0 {
		t.Errorf("printed: %s", out)
	}
}

// syncBuffer is a bytes.Buffer for a logger that is read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
