package actor

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
