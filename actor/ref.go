package actor

import "sync/atomic"

// Receiver is the behaviour of a process.
//
// It may also have a method Start(*Context), a [Starter], or
// Stop(*Context, error), a [Stopper].
type Receiver interface {
	// Receive handles one message. Calls are never concurrent, each sees what
	// the one before did, and messages of one teller come in the order they
	// were told. It runs on a worker of the process's pool and may block. c is
	// valid until Receive returns and only on its goroutine.
	Receive(c *Context, msg any)
}

// Starter is a Receiver that does something before the first message. Start
// runs in the process's first turn, and again for the fresh Receiver after a
// restart.
type Starter interface {
	Start(c *Context)
}

// Stopper is a Receiver that does something when its process is stopped, before
// its children are: the last it is asked to do. After a panic it is called as
// well, unless the process restarts. A panic in Stop becomes the reason if that
// was nil.
type Stopper interface {
	Stop(c *Context, reason error)
}

// Func is a function as a Receiver.
type Func func(c *Context, msg any)

// Receive calls f.
func (f Func) Receive(c *Context, msg any) { f(c, msg) }

// Terminated is the message that tells a parent or watcher that a process has
// ended and why; Reason is what its Options.OnEnd was given. It comes after
// everything that the process itself told the receiver. A child that ended
// because its parent stopped or restarted is not announced to it.
type Terminated struct {
	Ref    *Ref
	Reason error
}

// Ref stands for a process, alive or not. One process has one Ref, so that
// pointers can be compared and used as map keys; a Ref that is kept after the
// end holds on to some 200 bytes. All methods may be called concurrently.
type Ref struct {
	id     string
	sys    *System
	pool   *Pool
	parent *Ref
	max    int32

	state  atomic.Int32 // idle or scheduled
	queued atomic.Int32 // messages that wait, if max > 0
	user   queue
	system queue

	// The rest belongs to the process's turn.

	phase    phase
	byParent bool // ending because the parent does
	halted   bool // the engine has been told to stop
	recv     Receiver
	core     core
	failure  error // of the code that just ran
	reason   error // of the end; final once system is closed
	onEnd    func(error)
	restarts *restarts
	extras   *extras
}

// extras are what most processes do without.
type extras struct {
	watching map[*Ref]struct{}
	watchers map[*Ref]struct{}
	timers   map[*Timer]struct{}
}

// Tell gives msg to the process and does not wait. The message is the
// process's from then on. It returns ErrEnded, after handing msg to
// Config.Dropped, if the process has ended or is ending, and ErrMailboxFull
// above its bound. A nil error means that msg will be handled, or handed to
// Config.Dropped if the process ends before that.
func (r *Ref) Tell(msg any) error {
	if r.max > 0 && !r.reserve() {
		r.sys.refusals.Add(1)
		return ErrMailboxFull
	}
	if !r.user.push(msg) {
		r.sys.drop(r, msg)
		return ErrEnded
	}
	r.schedule()
	return nil
}

// reserve takes one of max places.
func (r *Ref) reserve() bool {
	for {
		n := r.queued.Load()
		if n >= r.max {
			return false
		}
		if r.queued.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Stop ends the process with that reason, nil for a normal end, after the
// message it is handling; messages that wait are handed to Config.Dropped. It
// does not wait. Only the first reason counts. Stopping an ended process does
// nothing.
func (r *Ref) Stop(reason error) { r.signal(stopRequest{reason}) }

// ID is the process's name in its System: unique there, readable (a child's
// begins with its parent's), guessable. It must not serve as an authorisation.
func (r *Ref) ID() string { return r.id }

// String returns the ID.
func (r *Ref) String() string { return r.id }
