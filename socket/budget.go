package socket

import "sync/atomic"

// budget is a bound on memory that a peer can make us hold; what is taken counts in its parent as well.
// Reserve before allocating (threat T14). Safe for concurrent use.
type budget struct {
	limit  int64
	used   atomic.Int64
	parent *budget
}

func (b *budget) reserve(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	if b.parent != nil && !b.parent.reserve(n) {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) release(n int64) {
	b.used.Add(-n)
	if b.parent != nil {
		b.parent.release(n)
	}
}
