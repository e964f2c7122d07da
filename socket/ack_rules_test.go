package socket_test

import (
	"context"
	"testing"
	"time"

	"parley/wire"
)

// What a side hands up it acknowledges soon, and again when its best connection changes.
func TestAcknowledgements(t *testing.T) { // SE14
	inWorld(t, func(w *world) {
		p := w.meet()
		at := time.Now()
		p.lane(2, 0, "0", "1", "2")
		got := p.until(func(m *wire.Control) bool { return m.GetAck() != nil }).GetAck().GetReceived()
		if len(got) != 1 || got[0].GetLane() != 2 || got[0].GetCount() != 3 {
			t.Errorf("acknowledged %v, want 3 blocks on lane 2", got)
		}
		if took := time.Since(at); took > rtt+25*time.Millisecond+5*time.Millisecond {
			t.Errorf("after %v, want a round trip and 25 ms", took)
		}
		better := p.x.wild(p.b, p.resumes)
		if r := better.accept.GetReceived(); len(r) != 1 || r[0].GetCount() != 3 {
			t.Errorf("Accept says %v", r)
		}
		got = better.until(func(m *wire.Control) bool { return m.GetAck() != nil }).GetAck().GetReceived()
		if len(got) != 1 || got[0].GetLane() != 2 || got[0].GetCount() != 3 {
			t.Errorf("on a better connection: %v, want the same again", got)
		}
	})
}

// Counts that cannot be true, and such as are merely old.
func TestWrongCounts(t *testing.T) { // SE14
	for name, tc := range map[string]struct {
		lane  uint32
		count []uint64
		lie   bool
	}{
		"all":              {0, []uint64{2}, false},
		"fewer than told":  {0, []uint64{2, 1, 0}, false},
		"nothing of a new": {5, []uint64{0}, false},
		"one too many":     {0, []uint64{3}, true},
		"by far":           {0, []uint64{1 << 63}, true},
		"of another lane":  {1, []uint64{1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.meet()
				for range 2 {
					if err := p.session().Send(context.Background(), 0, []byte("x")); err != nil {
						t.Fatal(err)
					}
				}
				p.incoming()
				for _, n := range tc.count {
					p.sayReceived(tc.lane, n)
				}
				if tc.lie {
					p.refused()
				} else {
					p.ping()
				}
			})
		})
	}
	t.Run("in Hello", func(t *testing.T) {
		inWorld(t, func(w *world) {
			p := w.meet()
			c, err := p.x.dial(p.b, p.x.certificate("x"))
			if err != nil {
				t.Fatal(err)
			}
			hello(t, c, func(h *wire.Hello) {
				p.resumes(h)
				h.Received = []*wire.LaneCount{{Lane: 0, Count: 1}}
			})
			if got := fate(c, nil); got != codeProtocol {
				t.Errorf("closed with %d", got)
			}
			p.refused()
		})
	})
}
