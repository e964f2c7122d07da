package actor

import (
	"sync/atomic"
	"time"
)

// Tuning of the pool's size; local to this package.
const (
	// shortLook is how long a piece of work may hold its worker, while others
	// wait, before it counts as blocked. It is far above the microseconds of a
	// handler that only computes, and short enough that handlers which wait
	// one millisecond each for a database get as many workers as they need.
	shortLook = 250 * time.Microsecond
	// longLook is the longest pause between two looks at a queue that is not
	// empty, reached when what lacks is processors.
	longLook = 4 * time.Millisecond
	// idleTime is how long a worker beyond the warm ones waits for work before
	// it leaves; it leaves within twice that time.
	idleTime = time.Second
)

// monitor is the part of a Pool that decides how many workers there are. Both
// of its timers run only while there is something to decide, so that an idle
// pool is silent: no wake-ups, and nothing that virtual time would have to
// step over. Pool.mu guards it but for epoch.
type monitor struct {
	// Looks at the queue divide time into epochs. A worker whose current piece
	// of work began in an earlier epoch is stuck: blocked, or waiting for a
	// processor, or computing for long.
	epoch    atomic.Uint32
	watching bool
	interval time.Duration
	looked   time.Time
	look     *time.Timer
	taken    int // tasks that workers took from the queue in this epoch
	retire   int // workers that should leave when they are done

	leastIdle int // smallest number of idle workers since the last reaping
	reaping   bool
	reap      *time.Timer
}

func (m *monitor) stop() {
	if m.look != nil {
		m.look.Stop()
	}
	if m.reap != nil {
		m.reap.Stop()
	}
}

// watchProgress sees to it that the queue, which is not empty, is looked at.
// The caller holds mu.
func (p *Pool) watchProgress() {
	m := &p.monitor
	if m.watching || len(p.all) >= p.most {
		return
	}
	m.watching = true
	p.lookAgain(shortLook)
}

// lookAgain begins an epoch. The caller holds mu.
func (p *Pool) lookAgain(after time.Duration) {
	m := &p.monitor
	m.epoch.Add(1)
	m.taken = 0
	m.interval = after
	m.looked = time.Now()
	if m.look == nil {
		m.look = time.AfterFunc(after, p.lookAtQueue)
	} else {
		m.look.Reset(after)
	}
}

// view is what one look at a queue that is not empty finds.
type view struct {
	late  bool // the look came later than after twice the interval
	busy  int  // workers inside a task
	stuck int  // of these, with a piece of work that began before the last look
	ready int  // workers about to take a task
	taken int  // tasks taken since the last look
	warm  int
}

// decide says how many workers to add or to retire. More of them help against
// blocking and not against a lack of processors: a worker that waits for a
// processor is no less stuck than one that waits for a database, and adding
// others makes its wait longer.
//
// A look that is on time tells that processors are free. Then every stuck worker
// is replaced, if they are so many that the queue suffers: at least half, or so
// many that fewer than the warm number make progress. A worker that is ready to
// take a task and has not got round to it speaks against.
//
// A look that comes late tells that processors are short. Blocked workers are
// replaced then as well, or whoever keeps the processors busy would stop the
// queue; but that they are blocked is believed only as far as they have not
// taken one task each since the last look.
func (v view) decide() (grow, retire int) {
	switch {
	case v.late:
		return max(0, v.busy-v.taken), 0
	case v.ready > v.warm:
		return 0, v.ready / 2
	case v.ready == 0 && (v.busy-v.stuck < v.warm || 2*v.stuck >= v.busy):
		return v.stuck, 0
	}
	return 0, 0
}

// lookAtQueue adapts the number of workers and looks again as long as there is
// a queue.
func (p *Pool) lookAtQueue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.monitor
	m.retire = 0
	if p.queue.n == 0 || len(p.all) >= p.most {
		m.watching = false
		return
	}
	v := view{late: time.Since(m.looked) > 2*m.interval, taken: m.taken, warm: p.warm}
	epoch := m.epoch.Load()
	for _, w := range p.all {
		if w.busy {
			v.busy++
			if w.epoch.Load() != epoch {
				v.stuck++
			}
		}
	}
	v.ready = len(p.all) - len(p.idle) - v.busy
	grow, retire := v.decide()
	for range min(grow, p.queue.n, p.most-len(p.all)) {
		p.start()
	}
	m.retire = min(retire, len(p.all)-p.warm)
	if v.late || v.ready > 0 {
		p.lookAgain(min(2*m.interval, longLook))
	} else {
		p.lookAgain(shortLook)
	}
}

// watchIdle sees to it that surplus idle workers leave. The caller holds mu and
// has just added one.
func (p *Pool) watchIdle() {
	m := &p.monitor
	if m.reaping || len(p.all) <= p.warm {
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
	n := max(0, min(m.leastIdle, len(p.all)-p.warm, len(p.idle)))
	for _, w := range p.idle[:n] {
		w.wake <- false
		p.remove(w)
	}
	p.idle = append(p.idle[:0:0], p.idle[n:]...)
	m.leastIdle = len(p.idle)
	if p.closed || len(p.all) <= p.warm || len(p.idle) == 0 {
		m.reaping = false
		return
	}
	m.reap.Reset(idleTime)
}
