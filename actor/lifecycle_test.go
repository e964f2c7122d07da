package actor

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
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
