package actor

import "time"

// Options say how a process is run. The zero value is usable.
type Options struct {
	// OnEnd, if not nil, is called exactly once, when the process and all its
	// children have ended and before its parent and watchers are told. The
	// reason is nil for a normal end, otherwise what Stop was given, a
	// *PanicError, ErrGoexit, ErrParentEnded or ErrClosed. It runs on a worker
	// of the pool and must not block; a panic in it is logged and changes
	// nothing; it must not call runtime.Goexit.
	OnEnd func(reason error)

	// MaxMailbox is the number of messages that may wait; Tell refuses more
	// with ErrMailboxFull. Zero or negative means no bound: use that only where
	// something else bounds the senders. Terminated messages and messages of
	// timers do not count and are never refused.
	MaxMailbox int

	// Restart says what follows a failure. Its zero value ends the process.
	Restart Restart

	// Pool runs the process's turns, if not the System's pool. Processes whose
	// handlers wait for a database or a disk do so on a pool of their own (A6).
	Pool *Pool
}

// Restart is the policy of a process that goes on after a panic with a fresh
// Receiver. The message being handled is lost, its children end, its timers
// and watches are dropped; Ref, mailbox and those watching it stay. A Terminated
// message that already waits, of a child of the former Receiver, is the fresh
// one's.
type Restart struct {
	// New makes the fresh Receiver, in the process's turn. Nil means that a
	// failure ends the process. A panic in New is a failure like any other.
	New func() Receiver
	// Max is the number of restarts allowed in any span of Within; one failure
	// more ends the process with that failure as its reason. Zero or negative
	// means no restart.
	Max int
	// Within is that span. Zero or negative means the life of the process.
	Within time.Duration
}

// restarts is the record of a process that may restart.
type restarts struct {
	policy Restart
	at     []time.Time // at most policy.Max, oldest first
}

// allow reports whether a failure at time now may be followed by a restart,
// and counts it if so. A nil *restarts never allows.
func (r *restarts) allow(now time.Time) bool {
	if r == nil {
		return false
	}
	if r.policy.Within > 0 {
		for len(r.at) > 0 && now.Sub(r.at[0]) >= r.policy.Within {
			r.at = r.at[1:]
		}
	}
	if len(r.at) >= r.policy.Max {
		return false
	}
	r.at = append(r.at, now)
	return true
}
