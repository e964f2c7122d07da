package pace

import (
	"container/heap"
	"container/list"
)

// flow is one of those among whom a limiter shares its tokens: one of its
// children, or all that wait on the limiter itself.
type flow struct {
	child   *Limiter  // nil for the limiter's own waiters
	waiters list.List // of *waiter, when child is nil, in order of arrival

	// start is the flow's virtual time: the bytes it has been served, moved up to
	// the queue's time when it had nothing waiting.
	start int64
	turn  uint64 // orders flows with equal start: the one that waits longest first
	place int    // its index in the queue plus one; 0 while it is not in the queue
}

// fairQueue holds the flows that have something waiting. The first is the one
// that has been served least.
type fairQueue struct {
	flows flowHeap
	now   int64 // the start of the flow served last
	turns uint64
}

func (q *fairQueue) empty() bool { return len(q.flows) == 0 }

// add puts a flow into the queue unless it is there.
func (q *fairQueue) add(f *flow) {
	if f.place == 0 {
		f.start = max(f.start, q.now)
		f.turn = q.nextTurn()
		heap.Push(&q.flows, f)
	}
}

// remove takes a flow out of the queue if it is there.
func (q *fairQueue) remove(f *flow) {
	if f.place != 0 {
		heap.Remove(&q.flows, f.place-1)
	}
}

// charge books n bytes on the first flow, which stays in the queue.
func (q *fairQueue) charge(n int) {
	f := q.flows[0]
	q.now = f.start
	f.start += int64(n)
	f.turn = q.nextTurn()
	heap.Fix(&q.flows, 0)
}

func (q *fairQueue) nextTurn() uint64 {
	q.turns++
	return q.turns
}

// flowHeap implements heap.Interface.
type flowHeap []*flow

func (h *flowHeap) Len() int { return len(*h) }

func (h *flowHeap) Less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	if a.start != b.start {
		return a.start < b.start
	}
	return a.turn < b.turn
}

func (h *flowHeap) Swap(i, j int) {
	s := *h
	s[i], s[j] = s[j], s[i]
	s[i].place, s[j].place = i+1, j+1
}

func (h *flowHeap) Push(x any) {
	f := x.(*flow)
	*h = append(*h, f)
	f.place = len(*h)
}

func (h *flowHeap) Pop() any {
	last := len(*h) - 1
	f := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	f.place = 0
	return f
}
