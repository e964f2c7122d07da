package socket

import (
	"iter"
	"sync/atomic"
)

// CodeCounts is how often something has happened, by Code.
type CodeCounts struct{ n [len(codeNames)]uint64 }

// Of is how often it has happened with code; 0 for what is no Code.
func (c CodeCounts) Of(code Code) uint64 {
	if int(code) < len(c.n) {
		return c.n[code]
	}
	return 0
}

// Total is how often it has happened at all.
func (c CodeCounts) Total() (n uint64) {
	for _, k := range c.n {
		n += k
	}
	return n
}

// All yields every Code with its count, zeros included, so that an exporter has all its series from the start.
func (c CodeCounts) All() iter.Seq2[Code, uint64] {
	return func(yield func(Code, uint64) bool) {
		for code := Internal; int(code) < len(c.n); code++ {
			if !yield(code, c.n[code]) {
				return
			}
		}
	}
}

// codeCounter is CodeCounts in the making. Safe for concurrent use.
type codeCounter struct{ n [len(codeNames)]atomic.Uint64 }

func (c *codeCounter) count(err error) { c.n[CodeOf(err)].Add(1) }

func (c *codeCounter) load() (out CodeCounts) {
	for i := range c.n {
		out.n[i] = c.n[i].Load()
	}
	return out
}
