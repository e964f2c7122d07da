package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"parley/peer"
	"parley/socket"
)

// redial begins sessions with a peer: it dials until the peer answers, and again when
// the session is over, because the peer left or began anew (C8). A session that has
// only lost its connection makes another by itself.
type redial struct {
	// dial returns a channel that is closed when the session it made is over.
	dial func(ctx context.Context) (<-chan struct{}, error)
	// failed is told why, once for each new reason since the last success.
	failed func(why string)
	// min and max bound the wait between two attempts.
	min, max time.Duration
}

// run dials until ctx ends. The wait doubles from attempt to attempt, and begins
// anew after a session that lasted longer than max: one that is made and lost at
// once is no success. Where another key answers, it will for a while: the wait is
// max at once.
func (d *redial) run(ctx context.Context) {
	wait, last := d.min, ""
	for {
		done, err := d.dial(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if why := reason(err); why != last {
				last = why
				d.failed(why)
			}
			if errors.Is(err, socket.Authentication) {
				wait = d.max
			}
		} else {
			last = ""
			begun := time.Now()
			select {
			case <-done:
			case <-ctx.Done():
				return
			}
			if time.Since(begun) > d.max {
				wait = d.min
			}
		}
		timer := time.NewTimer(jitter(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		wait = min(2*wait, d.max)
	}
}

// jitter spreads a wait from three quarters of it to all of it, so that peers that
// lost each other at once do not come back in lock-step. A wait is never shorter
// than three quarters of the minimum, nor longer than the maximum.
func jitter(d time.Duration) time.Duration {
	return d - rand.N(d/4) //nolint:gosec // it need not be a secret
}

// missed tells that an attempt to reach a peer failed.
func (r *room) missed(id peer.ID, why string) {
	r.mu.Lock()
	m := r.member(id)
	w, there, over := r.who(m), m.hearing != nil, r.over
	r.mu.Unlock()
	if !there && !over {
		r.show(unreachable{w, why})
	}
}
