package actor

import (
	"runtime"
	"sync/atomic"
)

// worker is a goroutine of a Pool.
type worker struct {
	pool *Pool
	wake chan bool // capacity 1; tells an idle worker to go on, or with false to leave
	at   int       // index in pool.all; pool.mu guards it
	busy bool      // inside a task; pool.mu guards it

	epoch atomic.Uint32 // of the monitor, when the last piece of work began
}

// progress notes that a piece of work begins.
func (w *worker) progress() {
	if e := w.pool.monitor.epoch.Load(); e != w.epoch.Load() {
		w.epoch.Store(e)
	}
}

func (w *worker) work() {
	var t task
	returned := false
	defer func() {
		if !returned { // the task called runtime.Goexit
			w.replace()
		}
	}()
	again := false
	for {
		if t = w.next(t, again); t == nil {
			break
		}
		again = t.run(w)
	}
	returned = true
}

// next puts back the last task, if it is to run again, and waits for another.
// It returns nil when the worker, which is then forgotten, must leave.
func (w *worker) next(last task, again bool) task {
	p := w.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	w.busy = false
	if again {
		p.queue.push(last)
	}
	for {
		surplus := len(p.all) - p.warm
		if surplus > 0 && p.monitor.retire > 0 {
			p.monitor.retire--
			p.remove(w)
			if p.queue.n > 0 {
				p.stir()
			}
			return nil
		}
		if surplus > 0 && last != nil && p.queue.n > 0 {
			// More workers than processors: give the others their turn now.
			// Otherwise those that wait for a processor, for as long as a time
			// slice of the Go scheduler lasts, look blocked to the monitor.
			last = nil
			p.mu.Unlock()
			runtime.Gosched()
			p.mu.Lock()
			continue
		}
		if p.queue.n > 0 {
			t := p.queue.pop()
			w.busy = true
			p.monitor.taken++
			if p.queue.n > 0 {
				p.stir()
			}
			return t
		}
		if p.closed {
			p.remove(w)
			p.endIfEmpty()
			return nil
		}
		p.idle = append(p.idle, w)
		p.watchIdle()
		p.mu.Unlock()
		stay := <-w.wake
		p.mu.Lock()
		if !stay {
			return nil // who said so has forgotten us
		}
		p.waking = false
	}
}

// replace starts another worker in place of one whose goroutine is lost.
func (w *worker) replace() {
	p := w.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(w)
	if p.queue.n > 0 {
		p.start()
		return
	}
	p.endIfEmpty()
}
