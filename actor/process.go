package actor

import (
	"fmt"
	"runtime/debug"
	"sync"

	engine "github.com/asynkron/protoactor-go/actor"
)

// turnBudget is the number of messages a process handles before it queues
// behind the others on its pool. It amortises the hand-over without letting a
// busy mailbox hold a worker for long; local to this package.
const turnBudget = 64

// States of Ref.state.
const (
	idle int32 = iota
	scheduled
)

// phase is where a process is in its life. It changes in the process's turn.
//
//	alive ── failure, restart allowed ──▶ restarting
//	when children have ended: restarting ──▶ alive
//	either ── Stop, parent's end, failure ──▶ stopping
//	when children have ended: stopping ──▶ ended
//
// Only an alive process handles messages. From stopping on, Tell fails.
type phase uint8

const (
	alive phase = iota
	restarting
	stopping
	ended
)

// Signals: they come before messages and are not the Receiver's.
type (
	stopRequest struct{ reason error }
	watch       struct{ by *Ref }
	unwatch     struct{ by *Ref }
)

// Notices: messages that do not count against the bound.
type fired struct{ *Timer }

// core is the engine's half of a process.
type core interface {
	engine.MessageInvoker
	spawner
	Self() *engine.PID
}

type spawner interface {
	SpawnNamed(*engine.Props, string) (*engine.PID, error)
}

// cell is a Ref as the engine sees it: the actor and its mailbox in one, which
// saves an allocation and lets the adapter see every message and signal.
type cell Ref

var (
	_ engine.Actor   = (*cell)(nil)
	_ engine.Mailbox = (*cell)(nil)
)

// press makes processes of the engine. The engine's Props are costly and know
// nothing of the process to be made, so that they are reused, and next is what
// they make.
type press struct {
	props *engine.Props
	next  *Ref
}

var presses = sync.Pool{New: func() any { return newPress() }}

func newPress() *press {
	p := &press{}
	p.props = engine.PropsFromProducerWithActorSystem(
		func(*engine.ActorSystem) engine.Actor { return (*cell)(p.next) },
		engine.WithMailbox(func() engine.Mailbox { return (*cell)(p.next) }),
	)
	return p
}

func (s *System) spawn(in spawner, parent *Ref, recv Receiver, o Options) (*Ref, error) {
	if recv == nil {
		return nil, fmt.Errorf("actor: spawn without a Receiver")
	}
	r := &Ref{sys: s, pool: o.Pool, parent: parent, recv: recv, onEnd: o.OnEnd}
	if r.pool == nil {
		r.pool = s.pool
	}
	if o.MaxMailbox > 0 {
		r.max = int32(min(o.MaxMailbox, 1<<30))
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closing {
		return nil, ErrClosed
	}
	var p *press
	if o.Restart.New != nil {
		// The engine uses the Props again when the process restarts.
		r.restarts = &restarts{policy: o.Restart}
		p = newPress()
		p.next = r
	} else {
		p = presses.Get().(*press)
		p.next = r
		defer func() {
			p.next = nil
			presses.Put(p)
		}()
	}
	s.live.Add(1)
	if _, err := in.SpawnNamed(p.props, s.engine.ProcessRegistry.NextID()); err != nil {
		s.live.Add(-1)
		return nil, fmt.Errorf("actor: spawn: %w", err)
	}
	return r, nil
}

// RegisterHandlers is called by the engine once, during the spawn.
func (c *cell) RegisterHandlers(i engine.MessageInvoker, _ engine.Dispatcher) {
	c.core = i.(core)
	c.id = c.core.Self().GetId()
}

// Start implements engine.Mailbox.
func (c *cell) Start() {}

// UserMessageCount implements engine.Mailbox; the engine's metrics, which are
// off, would ask for it.
func (c *cell) UserMessageCount() int { return int(c.queued.Load()) }

// PostUserMessage is for whoever reaches the process by a PID.
func (c *cell) PostUserMessage(msg any) { _ = (*Ref)(c).Tell(msg) }

// PostSystemMessage takes the engine's own signals.
func (c *cell) PostSystemMessage(msg any) {
	switch msg.(type) {
	case *engine.ResumeMailbox, *engine.SuspendMailbox:
		return // phase says it
	case *engine.Started:
		if _, ok := c.recv.(Starter); !ok {
			return // nothing to do: spare the process a turn
		}
	}
	(*Ref)(c).signal(msg)
}

// Receive is what the engine calls in the process's turn.
func (c *cell) Receive(ec engine.Context) {
	r := (*Ref)(c)
	switch msg := ec.Message().(type) {
	case *engine.Started:
		r.begin()
	case *engine.Stopped:
		r.finish()
	case *engine.Stopping, *engine.Restarting, *engine.Terminated:
		// The adapter does these itself, where it can say why.
	default:
		r.receive(msg)
	}
}

// signal queues what comes before messages, and reports false for an ended
// process.
func (r *Ref) signal(msg any) bool {
	if !r.system.push(msg) {
		return false
	}
	r.schedule()
	return true
}

// notify queues a message that does not count against the bound.
func (r *Ref) notify(msg any) {
	if r.user.push(msg) {
		r.schedule()
	}
}

// schedule has a turn run if none is under way.
func (r *Ref) schedule() {
	if r.state.Load() == idle && r.state.CompareAndSwap(idle, scheduled) {
		r.enqueue()
	}
}

func (r *Ref) enqueue() {
	if !r.pool.submit(r) {
		// A pool closed before its systems: let them end all the same.
		go func() {
			w := &worker{pool: r.pool}
			for r.run(w) {
			}
		}()
	}
}

// run is a turn.
func (r *Ref) run(w *worker) (again bool) {
	returned := false
	defer func() {
		if !returned { // runtime.Goexit: the worker is lost, the process goes on
			r.enqueue()
		}
	}()
	again = r.turn(w)
	returned = true
	return again
}

func (r *Ref) turn(w *worker) (again bool) {
	for range turnBudget {
		w.progress()
		switch {
		case r.failure != nil:
			r.fail()
			continue
		case r.phase == stopping && !r.halted:
			r.halt()
			continue
		case r.phase == ended:
			r.seal()
			return false
		}
		if msg, ok := r.system.pop(); ok {
			r.obey(msg)
			continue
		}
		if r.phase == alive {
			if msg, ok := r.user.pop(); ok {
				r.deliver(msg)
				continue
			}
		}
		listening := r.phase == alive
		r.state.Store(idle)
		// From here another turn may be under way, and what is the turn's must
		// not be touched. What was pushed after the looks at the queues found
		// the state scheduled, so look once more.
		if !r.system.pushed() && (!listening || !r.user.pushed()) || !r.state.CompareAndSwap(idle, scheduled) {
			return false
		}
	}
	return true
}

// obey acts on a signal.
func (r *Ref) obey(msg any) {
	switch msg := msg.(type) {
	case stopRequest:
		r.stop(msg.reason)
	case watch:
		x := r.more()
		if x.watchers == nil {
			x.watchers = make(map[*Ref]struct{})
		}
		x.watchers[msg.by] = struct{}{}
	case unwatch:
		if r.extras != nil {
			delete(r.extras.watchers, msg.by)
		}
	case *engine.Stop:
		if r.parent == nil {
			r.stop(ErrClosed)
			return
		}
		if r.phase < stopping {
			r.byParent = true
		}
		r.stop(ErrParentEnded)
	default:
		r.core.InvokeSystemMessage(msg)
	}
}

// deliver hands one message to the Receiver, by way of the engine.
func (r *Ref) deliver(msg any) {
	switch m := msg.(type) {
	case fired:
		if _, ok := r.extras.timers[m.Timer]; !ok {
			return // stopped after it fired
		}
		delete(r.extras.timers, m.Timer)
		msg = m.msg
	case ending:
		if m.Ref.parent != r {
			if _, ok := r.extras.watching[m.Ref]; !ok {
				return // no longer watched
			}
			delete(r.extras.watching, m.Ref)
		}
		msg = m.Terminated
	default:
		if r.max > 0 {
			r.queued.Add(-1)
		}
	}
	r.core.InvokeUserMessage(msg)
}

func (r *Ref) receive(msg any) {
	var g guard
	defer g.leave(r)
	r.recv.Receive((*Context)(r), msg)
	g.returned = true
}

// guard stands around the Receiver's code: a panic or Goexit in it is left in
// Ref.failure and goes no further, except that Goexit ends the goroutine.
type guard struct{ returned bool }

func (g *guard) leave(r *Ref) {
	if g.returned {
		return
	}
	if v := recover(); v != nil {
		r.failure = &PanicError{Value: v, Stack: debug.Stack()}
	} else {
		r.failure = ErrGoexit
	}
}

func (r *Ref) more() *extras {
	if r.extras == nil {
		r.extras = &extras{}
	}
	return r.extras
}
