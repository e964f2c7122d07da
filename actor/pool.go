package actor

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
)

// DefaultMaxWorkers is the largest number of workers of a Pool whose
// configuration does not say otherwise. At 8 KiB of stack each, which is what
// a handler of moderate depth touches, that is 32 MiB.
const DefaultMaxWorkers = 4096

// PoolConfig configures a Pool. Its zero value is usable.
type PoolConfig struct {
	// Warm is the number of workers that are kept once started. Zero or
	// negative means runtime.GOMAXPROCS(0).
	Warm int
	// MaxWorkers is the number beyond which work queues even though all
	// workers are blocked. Zero or negative means DefaultMaxWorkers; less than
	// Warm means Warm.
	MaxWorkers int
	// Logger is told of panics in functions given to Go. Nil discards.
	Logger *slog.Logger
}

// Pool runs the turns of processes, and short functions, on reused goroutines.
// Reuse is the point: a fresh goroutine grows its stack anew for every turn,
// which costs more than the turn.
//
// It keeps as many workers as there are processors and adds some while work is
// queued and the workers are blocked, so that handlers that block delay the
// others by milliseconds only (A6). Added workers leave when they are of no use
// any more. Work waits in one queue, first in, first out; the queue has no
// bound of its own, but a process is in it at most once, and whoever calls Go
// bounds what it starts.
//
// All methods may be called concurrently.
type Pool struct {
	warm, most int
	log        *slog.Logger
	done       chan struct{} // closed when closed and the last worker has left

	mu     sync.Mutex
	queue  ring
	all    []*worker
	idle   []*worker // of all; the most recently used last
	waking bool      // an idle worker was told to look at the queue and has not yet
	closed bool
	panics uint64

	monitor monitor
}

// task is a turn of a process or a function.
type task interface {
	// run does a bounded amount of work and reports whether to queue the task
	// again, behind what already waits. It calls w.progress for each piece of
	// work.
	run(w *worker) (again bool)
}

// PoolStats is a snapshot of a Pool.
type PoolStats struct {
	Workers int    // goroutines, idle ones included
	Idle    int    // workers waiting for work
	Queued  int    // tasks that no worker has taken yet
	Panics  uint64 // functions given to Go that panicked
}

// NewPool makes a pool. It starts no goroutine before there is work.
func NewPool(c PoolConfig) *Pool {
	p := &Pool{warm: c.Warm, most: c.MaxWorkers, log: orDiscard(c.Logger), done: make(chan struct{})}
	if p.warm <= 0 {
		p.warm = runtime.GOMAXPROCS(0)
	}
	if p.most <= 0 {
		p.most = DefaultMaxWorkers
	}
	p.most = max(p.most, p.warm)
	return p
}

// Go runs f on a worker. It does not wait: if all are busy, f is queued. It
// returns ErrClosed after Close. A panic in f is logged and counted and ends f
// only.
func (p *Pool) Go(f func()) error {
	if !p.submit(function(f)) {
		return ErrClosed
	}
	return nil
}

// Stats returns a snapshot.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PoolStats{Workers: len(p.all), Idle: len(p.idle), Queued: p.queue.n, Panics: p.panics}
}

// Close refuses new work, waits until what was accepted has run, and returns
// when no worker is left. If ctx ends first, its error is returned, the rest
// still runs, and Close may be called again to wait for it. Systems that run
// on the pool must be closed before it. Close must not be called on a worker.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		for _, w := range p.idle {
			w.wake <- false
			p.remove(w)
		}
		p.idle = nil
		p.endIfEmpty()
	}
	p.mu.Unlock()
	select {
	case <-p.done:
		return nil
	default:
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// submit queues t. It reports false, and does nothing, if the pool is closed.
//
// An idle worker is woken, not handed t: whoever is free first takes it, which
// for a message that answers another is usually the worker that sent it, with
// everything still in its cache.
func (p *Pool) submit(t task) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.queue.push(t)
	p.stir()
	return true
}

// stir sees to it that somebody takes what is queued, which is something. The
// caller holds mu.
func (p *Pool) stir() {
	switch {
	case len(p.idle) > 0:
		p.wakeOne()
	case len(p.all) < p.warm:
		p.start()
	default:
		p.watchProgress()
	}
}

// wakeOne has an idle worker look at the queue, unless one is about to: that
// one will stir if it finds more than it can take. The caller holds mu.
func (p *Pool) wakeOne() {
	if p.waking {
		return
	}
	p.waking = true
	w := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	p.monitor.leastIdle = min(p.monitor.leastIdle, len(p.idle))
	w.wake <- true
}

// start adds a worker. The caller holds mu.
func (p *Pool) start() {
	w := &worker{pool: p, wake: make(chan bool, 1), at: len(p.all)}
	p.all = append(p.all, w)
	go w.work()
}

// remove forgets a worker. The caller holds mu.
func (p *Pool) remove(w *worker) {
	last := len(p.all) - 1
	p.all[w.at] = p.all[last]
	p.all[w.at].at = w.at
	p.all[last] = nil
	p.all = p.all[:last]
}

// endIfEmpty ends a closed pool with its last worker. The caller holds mu.
func (p *Pool) endIfEmpty() {
	if p.closed && len(p.all) == 0 {
		p.monitor.stop()
		close(p.done)
	}
}

// function is a task made of a func given to Go.
type function func()

func (f function) run(w *worker) bool {
	w.progress()
	defer func() {
		if v := recover(); v != nil {
			p := w.pool
			p.mu.Lock()
			p.panics++
			p.mu.Unlock()
			p.log.Error("panic in a pooled function", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	f()
	return false
}

func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
