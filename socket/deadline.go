package socket

import "time"

// deadline is the moment after which a blocked call is to return. Its owner's lock guards it.
type deadline struct {
	at     time.Time // zero if there is none
	timer  *time.Timer
	passed chan struct{} // closed once at has passed; made when somebody waits
}

// set changes the deadline, also for whoever waits already; the zero time is none.
func (d *deadline) set(t time.Time) {
	if d.timer != nil {
		if !d.timer.Stop() { // it has fired or is about to: its channel is spent
			d.passed = nil
		}
		d.timer = nil
	}
	d.at = t
	d.arm()
}

// arm starts the clock if there is a deadline and somebody waits for it.
func (d *deadline) arm() {
	if d.passed == nil || d.at.IsZero() || d.timer != nil {
		return
	}
	passed := d.passed
	d.timer = time.AfterFunc(time.Until(d.at), func() { close(passed) })
}

// expired reports whether the deadline has passed. The clock decides, not the timer, which may be late:
// a carrier that has the same deadline may have noticed first.
func (d *deadline) expired() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// wait is closed when the deadline passes.
func (d *deadline) wait() <-chan struct{} {
	if d.passed == nil {
		d.passed = make(chan struct{})
	}
	d.arm()
	return d.passed
}

// signal wakes whoever waits for a change. Its owner's lock guards it.
type signal struct{ changed chan struct{} }

// wait is closed at the next change.
func (s *signal) wait() <-chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

func (s *signal) fire() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}
