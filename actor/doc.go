// Package actor runs processes: values that are told messages and handle them
// one at a time (D8), each in isolation, with parents, supervision and timers.
//
// A process is a [Receiver] spawned in a [System]. Other code holds its [Ref]
// and tells it messages; the Receiver gets them one by one together with its
// [Context], through which it spawns children, watches other processes, sets
// timers and stops. When it ends, its children have ended before it, its
// Options.OnEnd is called once, and its parent and watchers are told with a
// [Terminated] message (A1, A2). A panic ends or restarts that process alone
// (A3). No message is lost without a trace: what cannot be delivered goes to
// Config.Dropped.
//
// Turns run on a [Pool], a small set of warm workers that grows while handlers
// block and shrinks when they stop (A6).
//
// # Engine
//
// Registration, the tree of parents and children, the order of stopping and
// the restart cycle are those of protoactor-go; none of its types appears in
// this package's interface. Its mailboxes, dispatchers, futures, receive
// timeouts and stash are not used: they lose messages behind a stop, hang on a
// panicking stop hook or race. Importing protoactor-go brings in packages
// whose initialisation registers /debug/vars on http.DefaultServeMux: do not
// serve that mux on an address that strangers can reach.
//
// # Virtual time
//
// A System made inside a testing/synctest bubble works there: idle workers are
// durably blocked, nothing ticks while nothing is queued, and the pool's growth
// follows the bubble's clock. A handler that waits on something that is not
// durably blocking (a sync.Mutex, a socket, a system call) holds the bubble's
// clock still, and with it the growth of the pool.
package actor
