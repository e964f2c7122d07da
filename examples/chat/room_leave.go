package main

import (
	"context"
	"slices"

	"parley/dispatch"
)

// leave takes no more lines, waits until all have been acknowledged or ctx ends, and
// ends the conversations. It returns how many lines somebody did not get.
func (r *room) leave(ctx context.Context) int {
	r.mu.Lock()
	r.closing = true
	r.wake()
	r.mu.Unlock()
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if waiting := r.settled(soon); waiting > 0 {
		r.show(notice{"waiting for " + lines(waiting) + " to be delivered"})
		r.settled(ctx)
	}

	r.mu.Lock()
	r.over = true
	r.silence()
	r.wake()
	var ends []*dispatch.Conversation
	lost := make(map[who][]line)
	numbers := make(map[uint64]bool)
	for _, m := range r.members {
		if m.hearing != nil {
			ends = append(ends, m.hearing)
		}
		for _, l := range m.out.drain() {
			w := r.who(m)
			lost[w] = append(lost[w], l)
			numbers[l.number] = true
		}
	}
	r.mu.Unlock()
	for w, lines := range lost {
		r.lose(w, slices.Clip(lines), "you left first")
	}
	for _, c := range ends {
		c.End()
	}
	r.talks.Wait()
	return len(numbers)
}

// settled waits until no line is pending, or ctx ends. It returns how many are.
func (r *room) settled(ctx context.Context) int {
	for {
		r.mu.Lock()
		left, changed := len(r.pending), r.changed
		r.mu.Unlock()
		if left == 0 {
			return 0
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return left
		}
	}
}
