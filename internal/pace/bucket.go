package pace

import (
	"math"
	"time"
)

// Class is a kind of traffic. Of what waits at a limiter, the lower class goes
// first.
type Class uint8

// The classes.
const (
	Interactive Class = iota // blocks: somebody waits for each of them
	Bulk                     // byte streams and large blocks
)

const classes = 2

const (
	// lateness is how late a timer may be without loss of rate: a bucket holds at
	// least what comes in during this time.
	lateness = 5 * time.Millisecond
	// tolerance, in bytes, absorbs rounding, so that a timer that fired in time is
	// not set again for the last nanosecond.
	tolerance = 1e-6
	// longestWait bounds a timer, so that no rate is too small to be computed with.
	longestWait = time.Hour
)

// bucket is the account of one limiter. The tree's lock guards it.
type bucket struct {
	rate    float64          // bytes per second; 0 is no limit
	burst   float64          // the highest balance, bytes
	balance [classes]float64 // what each class may still take, bytes; in debt below 0
	filled  time.Time        // when the balances were last brought up to date
}

// set changes rate and burst. What was taken or owed under the old ones stays; a
// bucket without a limit so far starts full.
func (b *bucket) set(rate float64, burst int, now time.Time) {
	b.fill(now)
	fresh := b.rate == 0
	b.rate, b.burst = 0, 0
	if !(rate > 0) || math.IsInf(rate, 1) { // NaN is no limit either
		return
	}
	b.rate, b.burst = rate, max(float64(burst), rate*lateness.Seconds())
	for c := range b.balance {
		if fresh {
			b.balance[c] = b.burst
		}
		b.balance[c] = min(b.balance[c], b.burst)
	}
}

// fill adds what has come in since the last time.
func (b *bucket) fill(now time.Time) {
	if d := now.Sub(b.filled); d > 0 {
		for c := range b.balance {
			b.balance[c] = min(b.balance[c]+b.rate*d.Seconds(), b.burst)
		}
		b.filled = now
	}
}

// ready reports whether the bucket lets the next request of a class pass.
func (b *bucket) ready(c Class, now time.Time) bool {
	if b.rate == 0 {
		return true
	}
	b.fill(now)
	return b.balance[c] >= -tolerance
}

// take books n bytes: on the class itself, and on every class that is to wait for
// it. So the balance of bulk is never above that of interactive traffic.
func (b *bucket) take(c Class, n int) {
	if b.rate == 0 {
		return
	}
	for ; c < classes; c++ {
		b.balance[c] -= float64(n)
	}
}

// delay is how long it takes, from the last filling, until the class is ready.
func (b *bucket) delay(c Class) time.Duration {
	seconds := -b.balance[c] / b.rate
	if seconds >= longestWait.Seconds() {
		return longestWait
	}
	return time.Duration(math.Ceil(seconds * 1e9))
}
