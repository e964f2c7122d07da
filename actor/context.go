package actor

import "time"

// Context is what a Receiver has of its own process. It is valid during the
// call it was passed to, on that goroutine.
type Context Ref

// Self returns the process's own Ref.
func (c *Context) Self() *Ref { return (*Ref)(c) }

// Parent returns the parent, nil for a process spawned by System.Spawn.
func (c *Context) Parent() *Ref { return c.parent }

// System returns the System the process lives in.
func (c *Context) System() *System { return c.sys }

// Spawn starts a child. It ends when its parent ends or restarts, and the
// parent is told by a Terminated message when it ends by itself (A2). It
// returns ErrClosed when the System is closing.
func (c *Context) Spawn(r Receiver, o Options) (*Ref, error) {
	if c.halted {
		return nil, ErrEnded
	}
	return c.sys.spawn(c.core, c.Self(), r, o)
}

// Stop ends the process when the call returns, as Ref.Stop does.
func (c *Context) Stop(reason error) { c.Self().Stop(reason) }

// Watch asks for one Terminated message when r ends, or at once if it has.
// Watching twice is the same as once. Watching itself or its own child, whose
// end it is told anyway, does nothing. r may be of another System.
func (c *Context) Watch(r *Ref) {
	self := c.Self()
	if r == self || r.parent == self {
		return
	}
	x := self.more()
	if _, ok := x.watching[r]; ok {
		return
	}
	if x.watching == nil {
		x.watching = make(map[*Ref]struct{})
	}
	x.watching[r] = struct{}{}
	if !r.signal(watch{self}) {
		self.notify(ending{Terminated{r, r.reason}})
	}
}

// Unwatch takes Watch back: no Terminated message for r will come, even if r
// has ended meanwhile.
func (c *Context) Unwatch(r *Ref) {
	if c.extras == nil {
		return
	}
	if _, ok := c.extras.watching[r]; ok {
		delete(c.extras.watching, r)
		r.signal(unwatch{c.Self()})
	}
}

// After has msg handled by this process when d has passed, unless the process
// ends or restarts, or the Timer is stopped, before. It is never dropped for
// want of room.
func (c *Context) After(d time.Duration, msg any) *Timer {
	self := c.Self()
	x := self.more()
	if x.timers == nil {
		x.timers = make(map[*Timer]struct{})
	}
	t := &Timer{ref: self, msg: msg}
	x.timers[t] = struct{}{}
	t.timer = time.AfterFunc(d, t.fire)
	return t
}

// Timer is a message to come.
type Timer struct {
	ref   *Ref
	msg   any
	timer *time.Timer
}

// Stop prevents the message and reports whether it did: after true the message
// does not come, even if the time has passed; false means that it has come or
// was stopped before. Only the process itself may call it, in its turn.
func (t *Timer) Stop() bool {
	x := t.ref.extras
	if x == nil {
		return false
	}
	if _, ok := x.timers[t]; !ok {
		return false
	}
	delete(x.timers, t)
	t.timer.Stop()
	return true
}

func (t *Timer) fire() { t.ref.notify(fired{t}) }
