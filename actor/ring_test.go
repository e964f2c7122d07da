package actor

import "testing"

type numbered int

func (numbered) run(*worker) bool { return false }

func TestRing(t *testing.T) {
	var r ring
	in, out := 0, 0
	for round := range 40 {
		for range 100 * round {
			r.push(numbered(in))
			in++
		}
		for range 90 * round {
			if v := r.pop(); v != numbered(out) {
				t.Fatalf("pop = %v, want %d", v, out)
			}
			out++
		}
	}
	for r.n > 0 {
		if v := r.pop(); v != numbered(out) {
			t.Fatalf("pop = %v, want %d", v, out)
		}
		out++
	}
	if in != out {
		t.Errorf("%d in, %d out", in, out)
	}
	if len(r.buf) > ringKeep {
		t.Errorf("an empty ring keeps %d slots after a burst", len(r.buf))
	}
}
