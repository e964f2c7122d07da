package actor

import (
	"errors"
	"runtime/debug"
	"time"

	engine "github.com/asynkron/protoactor-go/actor"
)

// ending is Terminated on its way through the mailbox.
type ending struct{ Terminated }

// begin starts the Receiver, a fresh one after a restart.
func (r *Ref) begin() {
	var g guard
	defer g.leave(r)
	if r.phase == restarting {
		r.phase = alive
		r.recv = r.restarts.policy.New()
		if r.recv == nil {
			panic("Restart.New returned nil")
		}
	}
	if s, ok := r.recv.(Starter); ok {
		s.Start((*Context)(r))
	}
	g.returned = true
}

// fail acts on a failure of the process's code: restart or stop (A3).
func (r *Ref) fail() {
	failure := r.failure
	r.failure = nil
	r.sys.panics.Add(1)
	r.logFailure(failure)
	if r.phase == stopping { // in the stop hook
		if r.reason == nil {
			r.reason = failure
		}
		return
	}
	if !r.restarts.allow(time.Now()) {
		r.stop(failure)
		return
	}
	r.sys.restarts.Add(1)
	r.phase = restarting
	r.release()
	r.core.InvokeSystemMessage(&engine.Restart{})
}

func (r *Ref) logFailure(failure error) {
	if p, ok := errors.AsType[*PanicError](failure); ok {
		r.sys.log.Error("panic in a process", "process", r.id, "panic", p.Value, "stack", string(p.Stack))
		return
	}
	r.sys.log.Error("failure of a process", "process", r.id, "error", failure)
}

// stop begins the end: no more messages, then the Receiver's hook. The engine
// follows in halt, at the next step of the turn, so that a hook which panics
// or exits delays nothing.
func (r *Ref) stop(reason error) {
	if r.phase >= stopping {
		return
	}
	r.phase = stopping
	r.reason = reason
	r.user.close()
	for {
		msg, ok := r.user.pop()
		if !ok {
			break
		}
		switch msg.(type) {
		case fired, ending:
		default:
			r.sys.drop(r, msg)
		}
	}
	if s, ok := r.recv.(Stopper); ok {
		r.stopHook(s)
	}
}

func (r *Ref) stopHook(s Stopper) {
	var g guard
	defer g.leave(r)
	s.Stop((*Context)(r), r.reason)
	g.returned = true
}

// halt lets the engine stop the children and wait for them.
func (r *Ref) halt() {
	r.halted = true
	r.core.InvokeSystemMessage(&engine.Stop{})
}

// finish runs when all children have ended. When it returns, the engine tells
// the engine's half of the parent.
func (r *Ref) finish() {
	r.phase = ended
	r.release()
	if r.onEnd != nil {
		r.callOnEnd()
	}
	if r.parent != nil && !r.byParent {
		r.parent.notify(ending{Terminated{r, r.reason}})
	}
	if r.extras != nil {
		for w := range r.extras.watchers {
			w.notify(ending{Terminated{r, r.reason}})
		}
	}
}

func (r *Ref) callOnEnd() {
	defer func() {
		if v := recover(); v != nil {
			r.sys.panics.Add(1)
			r.sys.log.Error("panic in OnEnd", "process", r.id, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	r.onEnd(r.reason)
}

// release gives up timers and watches, which belong to one incarnation.
func (r *Ref) release() {
	x := r.extras
	if x == nil {
		return
	}
	for t := range x.timers {
		t.timer.Stop()
	}
	x.timers = nil
	for w := range x.watching {
		w.signal(unwatch{r})
	}
	x.watching = nil
}

// seal closes the signal queue, after which reason may be read by anyone whose
// signal failed, and lets go of all that an ended process need not keep.
func (r *Ref) seal() {
	r.system.close()
	for {
		msg, ok := r.system.pop()
		if !ok {
			break
		}
		if w, ok := msg.(watch); ok {
			w.by.notify(ending{Terminated{r, r.reason}})
		}
	}
	r.recv, r.core, r.onEnd, r.restarts, r.extras = nil, nil, nil, nil, nil
	r.sys.ended()
}
