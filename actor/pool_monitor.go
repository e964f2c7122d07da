package actor

import "time"

// Tuning of the pool's growth; local to this package.
const (
	// progressMin is how long a task may hold its worker, while others wait,
	// before it counts as blocked. It is far above the microseconds of a turn
	// that only computes, and short enough that handlers which wait one
	// millisecond each for a database still get as many workers as they need.
	progressMin = 250 * time.Microsecond
	// progressMax is the longest pause between two looks at a queue that is
	// not empty: a pool that is merely busy is looked at ever more rarely.
	progressMax = 4 * time.Millisecond
	// idleTime is how long a worker beyond the warm ones waits for work before
	// it leaves; it leaves within twice that time.
	idleTime = time.Second
)

// monitor is the part of a Pool that decides how many workers there are. Both
// of its timers run only while there is something to decide, so that an idle
// pool is silent: no wake-ups, and nothing that virtual time would have to
// step over. Pool.mu guards it.
type monitor struct {
	// Work is divided into epochs by the looks at the queue. A worker whose
	// task began in an earlier epoch is stuck.
	epoch    uint64
	fresh    int // workers whose task began in this epoch
	watching bool
	interval time.Duration
	progress *time.Timer

	leastIdle int // smallest number of idle workers since the last reaping
	reaping   bool
	reap      *time.Timer
}

func (m *monitor) stop() {
	if m.progress != nil {
		m.progress.Stop()
	}
	if m.reap != nil {
		m.reap.Stop()
	}
}

// began and finished note that w took or completed a task. The caller holds mu.
func (p *Pool) began(w *worker) {
	w.epoch = p.monitor.epoch
	p.monitor.fresh++
	p.running++
}

func (p *Pool) finished(w *worker) {
	if w.epoch == p.monitor.epoch {
		p.monitor.fresh--
	}
	p.running--
}

// watchProgress sees to it that the queue, which is not empty, is looked at.
// The caller holds mu.
func (p *Pool) watchProgress() {
	m := &p.monitor
	if m.watching || p.workers >= p.most {
		return
	}
	m.watching = true
	m.interval = progressMin
	m.epoch++
	m.fresh = 0
	if m.progress == nil {
		m.progress = time.AfterFunc(m.interval, p.checkProgress)
	} else {
		m.progress.Reset(m.interval)
	}
}

// checkProgress adds a worker for each stuck one if they are so many that the
// queue suffers: at least half of the workers, or so many that fewer than the
// warm number are left. Long computations look stuck too; then the added
// workers share the processors as goroutines do, which costs their stacks.
func (p *Pool) checkProgress() {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.monitor
	if p.queue.n == 0 || p.workers >= p.most {
		m.watching = false
		return
	}
	stuck := p.running - m.fresh
	m.epoch++
	m.fresh = 0
	m.interval = min(2*m.interval, progressMax)
	if stuck > 0 && (p.running-stuck < p.warm || 2*stuck >= p.running) {
		for range min(stuck, p.queue.n, p.most-p.workers) {
			p.start(p.queue.pop())
		}
		m.interval = progressMin
	}
	m.progress.Reset(m.interval)
}

// watchIdle sees to it that surplus idle workers leave. The caller holds mu and
// has just added one.
func (p *Pool) watchIdle() {
	m := &p.monitor
	if m.reaping || p.workers <= p.warm {
		return
	}
	m.reaping = true
	m.leastIdle = len(p.idle)
	if m.reap == nil {
		m.reap = time.AfterFunc(idleTime, p.reapIdle)
	} else {
		m.reap.Reset(idleTime)
	}
}

// reapIdle dismisses the surplus workers that had nothing to do since the last
// time: as the idle ones form a stack, those are at its bottom.
func (p *Pool) reapIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.monitor
	n := min(m.leastIdle, p.workers-p.warm, len(p.idle))
	if n > 0 {
		for _, w := range p.idle[:n] {
			w.wake <- nil
		}
		p.idle = append(p.idle[:0:0], p.idle[n:]...)
		p.workers -= n
	}
	m.leastIdle = len(p.idle)
	if p.closed || p.workers <= p.warm || len(p.idle) == 0 {
		m.reaping = false
		return
	}
	m.reap.Reset(idleTime)
}
