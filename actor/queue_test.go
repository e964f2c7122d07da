package actor

import (
	"sync"
	"testing"
)

func TestQueueOrder(t *testing.T) {
	var q queue
	if q.pushed() {
		t.Fatal("a new queue is not empty")
	}
	next := 0
	for i := range 100 {
		q.push(i)
		if i%3 == 2 { // leave some behind
			if v, ok := q.pop(); !ok || v != next {
				t.Fatalf("pop = %v, %v; want %d", v, ok, next)
			}
			next++
		}
	}
	q.close()
	if q.push("late") {
		t.Error("push into a closed queue succeeded")
	}
	for ; next < 100; next++ {
		if v, ok := q.pop(); !ok || v != next {
			t.Fatalf("pop after close = %v, %v; want %d", v, ok, next)
		}
	}
	if v, ok := q.pop(); ok || q.pushed() {
		t.Errorf("pop of a drained queue = %v, %v", v, ok)
	}
	q.close() // twice is once
	if q.push("late") {
		t.Error("push after a second close succeeded")
	}
}

// What push accepted is popped, once and in the producer's order, however close
// falls between.
func TestQueueCloseLosesNothing(t *testing.T) {
	for round := range 200 {
		const producers = 4
		var q queue
		var accepted [producers]int
		var wg sync.WaitGroup
		for p := range producers {
			wg.Go(func() {
				for i := range 50 {
					if !q.push([2]int{p, i}) {
						return
					}
					accepted[p]++
				}
			})
		}
		var popped [producers]int
		take := func() bool {
			v, ok := q.pop()
			if !ok {
				return false
			}
			m := v.([2]int)
			if m[1] != popped[m[0]] {
				t.Fatalf("producer %d: got %d, want %d", m[0], m[1], popped[m[0]])
			}
			popped[m[0]]++
			return true
		}
		for range round {
			take()
		}
		q.close()
		for take() {
		}
		wg.Wait()
		if popped != accepted {
			t.Fatalf("popped %v, accepted %v", popped, accepted)
		}
	}
}
