package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/socket"
)

// TestRedial: waits double from 1 s to 60 s, with jitter; a reason is told once; and
// a session that lasted begins anew (C8).
func TestRedial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := &socket.Error{Code: socket.Timeout, Op: "dial"}
		wrong := &socket.Error{Code: socket.Authentication, Op: "dial", Err: errors.New("another key")}
		type attempt struct {
			err   error
			lasts time.Duration
			// least and most is the wait before it.
			least, most time.Duration
		}
		var attempts []attempt
		for i := range 9 {
			w := min(time.Second<<max(0, i-1), time.Minute)
			attempts = append(attempts, attempt{down, 0, w * 3 / 4, w})
		}
		attempts[0].least, attempts[0].most = 0, 0
		attempts = append(attempts,
			attempt{nil, time.Second, 45 * time.Second, time.Minute},     // made and lost at once
			attempt{nil, 2 * time.Minute, 45 * time.Second, time.Minute}, // lasted
			attempt{down, 0, 750 * time.Millisecond, time.Second},
			attempt{wrong, 0, 1500 * time.Millisecond, 2 * time.Second},
			attempt{wrong, 0, 45 * time.Second, time.Minute},
			attempt{down, 0, 45 * time.Second, time.Minute},
		)
		ctx, cancel := context.WithCancel(t.Context())
		last := time.Now()
		n := 0
		var told []string
		d := &redial{min: minRedial, max: maxRedial, failed: func(why string) { told = append(told, fmt.Sprint(n, " ", why)) }}
		d.dial = func(context.Context) (<-chan struct{}, error) {
			if n == len(attempts) {
				cancel()
				return nil, ctx.Err()
			}
			a := attempts[n]
			if w := time.Since(last); w < a.least || w > a.most {
				t.Errorf("attempt %d comes after %v, not %v to %v", n, w, a.least, a.most)
			}
			n++
			last = time.Now().Add(a.lasts)
			if a.err != nil {
				return nil, a.err
			}
			done := make(chan struct{})
			time.AfterFunc(a.lasts, func() { close(done) })
			return done, nil
		}
		d.run(ctx)
		if want := []string{"1 no answer", "12 no answer", "13 authentication failed: another key", "15 no answer"}; !slices.Equal(told, want) {
			t.Errorf("told %q", told)
		}
	})
}

// TestJitter: peers that lost each other at once do not come back in lock-step.
func TestJitter(t *testing.T) {
	seen := make(map[time.Duration]bool)
	for range 100 {
		d := jitter(time.Second)
		if d < 750*time.Millisecond || d > time.Second {
			t.Fatalf("%v", d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("%d waits of 100 differ", len(seen))
	}
}
