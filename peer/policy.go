package peer

import (
	"errors"
	"fmt"
	"sync"
)

// ErrNotAdmitted is wrapped by every refusal of [Policy.Check].
var ErrNotAdmitted = errors.New("peer not admitted")

// A Policy says which peers may talk to us (requirement I6): an allow-list and a
// deny-list of keys. The zero Policy, and a nil one, admit every peer. A Policy is safe for
// concurrent use and must not be copied.
//
// It decides admission only. A peer that is already connected when it is denied
// stays until its session is closed.
type Policy struct {
	mu         sync.RWMutex
	restricted bool // Allow was called: peers not listed are refused
	allowed    map[ID]struct{}
	denied     map[ID]struct{}
}

// Allow adds ids to the allow-list. From its first call on, even one without
// ids, only listed peers are admitted; removing the last of them does not open
// the door again.
func (p *Policy) Allow(ids ...ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restricted = true
	if p.allowed == nil {
		p.allowed = make(map[ID]struct{}, len(ids))
	}
	for _, id := range ids {
		p.allowed[id] = struct{}{}
	}
}

// Deny adds ids to the deny-list, which wins over the allow-list.
func (p *Policy) Deny(ids ...ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.denied == nil {
		p.denied = make(map[ID]struct{}, len(ids))
	}
	for _, id := range ids {
		p.denied[id] = struct{}{}
	}
}

// Remove takes ids off both lists.
func (p *Policy) Remove(ids ...ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		delete(p.allowed, id)
		delete(p.denied, id)
	}
}

// Check returns nil if id is admitted, else an error that wraps [ErrNotAdmitted]
// and says which list refused it. The zero ID is never admitted.
func (p *Policy) Check(id ID) error {
	if id.IsZero() {
		return fmt.Errorf("%w: no peer id", ErrNotAdmitted)
	}
	if p == nil {
		return nil
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if _, ok := p.denied[id]; ok {
		return fmt.Errorf("%w: %s is on the deny-list", ErrNotAdmitted, id)
	}
	if !p.restricted {
		return nil
	}
	if _, ok := p.allowed[id]; !ok {
		return fmt.Errorf("%w: %s is not on the allow-list", ErrNotAdmitted, id)
	}
	return nil
}
