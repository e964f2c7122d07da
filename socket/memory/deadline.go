package memory

import (
	"sync"
	"time"
)

// deadline is a moment that any number of goroutines may wait for while it is moved. Its zero value never comes.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	past  chan struct{} // closed once the moment has come; made when first asked for
}

// set moves the deadline; the zero time is never, and one that has passed comes at once.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	past := d.channel()
	if d.timer != nil && !d.timer.Stop() {
		<-past // the timer has fired: let it finish, so that it cannot close what comes after
	}
	d.timer = nil
	closed := isClosed(past)
	if closed && (t.IsZero() || time.Until(t) > 0) {
		d.past = make(chan struct{})
		past = d.past
	}
	switch wait := time.Until(t); {
	case t.IsZero():
	case wait > 0:
		d.timer = time.AfterFunc(wait, func() { close(past) })
	case !closed:
		close(past)
	}
}

// wait is a channel that is closed once the deadline has passed. It stays good as long as the deadline is moved
// before it passes; then ask again.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.channel()
}

func (d *deadline) channel() chan struct{} {
	if d.past == nil {
		d.past = make(chan struct{})
	}
	return d.past
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
