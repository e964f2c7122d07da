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
	// starvedLooks is how many looks in a row must find no progress before the
	// pool grows although the processors are all busy.
	starvedLooks = 3
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
	starved  int // looks in a row that came late and found no progress
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
	m.starved = 0
	p.lookAgain(shortLook)
}

// lookAgain begins an epoch. The caller holds mu.
func (p *Pool) lookAgain(after time.Duration) {
	m := &p.monitor
	m.epoch.Add(1)
	m.interval = after
	m.looked = time.Now()
	if m.look == nil {
		m.look = time.AfterFunc(after, p.lookAtQueue)
	} else {
		m.look.Reset(after)
	}
}

// lookAtQueue adds a worker for each stuck one if they are so many that the
// queue suffers: at least half, or so many that fewer than the warm number make
// progress.
//
// More workers help against blocking and not against a lack of processors. Two
// things tell that it is the latter: a worker that is ready to take a task has
// not got round to it, or the look itself comes late. After a late look the
// pool grows only if no worker has made progress for several looks.
func (p *Pool) lookAtQueue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.monitor
	m.retire = 0
	if p.queue.n == 0 || len(p.all) >= p.most {
		m.watching = false
		return
	}
	epoch := m.epoch.Load()
	fresh, stuck := 0, 0
	for _, w := range p.all {
		switch {
		case !w.busy:
		case w.epoch.Load() == epoch:
			fresh++
		default:
			stuck++
		}
	}
	ready := len(p.all) - len(p.idle) - fresh - stuck
	grow := ready == 0 && stuck > 0 && (fresh < p.warm || fresh <= stuck)
	late := time.Since(m.looked) > 2*m.interval
	if late && fresh == 0 {
		m.starved++
	} else {
		m.starved = 0
	}
	if grow && (!late || m.starved >= starvedLooks) {
		for range min(stuck, p.queue.n, p.most-len(p.all)) {
			p.start()
		}
		p.lookAgain(shortLook)
		return
	}
	if ready > p.warm {
		m.retire = min(ready/2, len(p.all)-p.warm)
	}
	if ready > 0 || late {
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
