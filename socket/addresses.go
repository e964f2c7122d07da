package socket

import (
	"net"
	"slices"
	"sync"
)

// maxAddresses is how many addresses of a peer a session remembers.
const maxAddresses = 16

// target is an address to dial: as somebody gave it, to be resolved each time, or as it was seen.
type target struct {
	text string
	seen net.Addr
}

func (t target) key() string {
	if t.seen != nil {
		return t.seen.String()
	}
	return t.text
}

// addresses are those of one peer, best first: the last that was given or has worked (T9).
// Safe for concurrent use.
type addresses struct {
	mu   sync.Mutex
	list []target
}

// given puts an address first that the application names now: it is tried next.
func (a *addresses) given(text string) { a.first(target{text: text}) }

// good puts an address first that has just worked. The peer has proved its key there, so dialling it later
// is no favour to a stranger.
func (a *addresses) good(addr net.Addr) { a.first(target{seen: addr}) }

// first puts an address first. One that was given stays so when it is seen.
func (a *addresses) first(t target) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := a.index(t.key()); i >= 0 {
		if t.seen != nil {
			t = a.list[i]
		}
		a.list = slices.Delete(a.list, i, i+1)
	}
	a.list = slices.Insert(a.list, 0, t)
	a.trim()
}

// bad puts an address last; one that was only seen is forgotten.
func (a *addresses) bad(t target) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.index(t.key())
	if i < 0 {
		return
	}
	a.list = slices.Delete(a.list, i, i+1)
	if t.seen == nil {
		a.list = append(a.list, t)
	}
}

// trim forgets the worst of too many, those that were only seen first. a.mu is held.
func (a *addresses) trim() {
	if len(a.list) <= maxAddresses {
		return
	}
	for i := len(a.list) - 1; i > 0; i-- {
		if a.list[i].seen != nil {
			a.list = slices.Delete(a.list, i, i+1)
			return
		}
	}
	a.list = a.list[:maxAddresses]
}

func (a *addresses) index(key string) int {
	return slices.IndexFunc(a.list, func(t target) bool { return t.key() == key })
}

// at is the address of the n-th attempt in a row: each in turn.
func (a *addresses) at(n int) (target, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) == 0 {
		return target{}, false
	}
	return a.list[n%len(a.list)], true
}

func (a *addresses) empty() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.list) == 0
}

// texts is the list for people and for other dials.
func (a *addresses) texts() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]string, 0, len(a.list))
	for _, t := range a.list {
		out = append(out, t.key())
	}
	return out
}
