package peer

import (
	"errors"
	"strings"
	"sync"
	"testing"
)

// I6: the rules of admission, one row each.
func TestPolicy(t *testing.T) {
	a, b := testKey(t, 1).ID(), testKey(t, 2).ID()
	for _, tt := range []struct {
		name   string
		set    func(*Policy)
		admitA bool
		admitB bool
	}{
		{"zero policy admits all", func(*Policy) {}, true, true},
		{"allow-list admits its own only", func(p *Policy) { p.Allow(a) }, true, false},
		{"deny-list refuses its own only", func(p *Policy) { p.Deny(a) }, false, true},
		{"deny wins, whichever came first", func(p *Policy) { p.Deny(a); p.Allow(a, b); p.Deny(b); p.Allow(b) }, false, false},
		{"an empty allow-list admits nobody", func(p *Policy) { p.Allow() }, false, false},
		{"removing the last allowed does not open the door", func(p *Policy) { p.Allow(a); p.Remove(a) }, false, false},
		{"removing a denied readmits", func(p *Policy) { p.Deny(a); p.Remove(a) }, true, true},
		{"remove on the zero policy", func(p *Policy) { p.Remove(a) }, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p Policy
			tt.set(&p)
			for id, want := range map[ID]bool{a: tt.admitA, b: tt.admitB} {
				err := p.Check(id)
				if (err == nil) != want {
					t.Errorf("%s: %v", id.Short(), err)
				}
				if err != nil && (!errors.Is(err, ErrNotAdmitted) || !strings.Contains(err.Error(), id.String())) {
					t.Errorf("error %v", err)
				}
			}
			if err := p.Check(ID{}); !errors.Is(err, ErrNotAdmitted) {
				t.Errorf("zero id: %v", err)
			}
		})
	}
}

func TestNilPolicyAdmits(t *testing.T) {
	var p *Policy
	if err := p.Check(testKey(t, 1).ID()); err != nil {
		t.Error(err)
	}
}

// Lists change while connections are being admitted; the race detector judges.
func TestPolicyConcurrent(t *testing.T) {
	var p Policy
	id := testKey(t, 1).ID()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				p.Allow(id)
				p.Deny(id)
				p.Remove(id)
			}
		})
		wg.Go(func() {
			for range 100 {
				_ = p.Check(id)
			}
		})
	}
	wg.Wait()
	if err := p.Check(id); !errors.Is(err, ErrNotAdmitted) {
		t.Errorf("in the end: %v", err)
	}
}
