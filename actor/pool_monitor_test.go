package actor

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestDecide(t *testing.T) {
	for _, x := range []struct {
		name         string
		v            view
		grow, retire int
	}{
		{"all blocked", view{busy: 2, stuck: 2, warm: 2}, 2, 0},
		{"one of two blocked, the other fast", view{busy: 2, stuck: 1, taken: 900, warm: 2}, 1, 0},
		{"one of three blocked, the others fast", view{busy: 3, stuck: 1, taken: 900, warm: 2}, 0, 0},
		{"half of many wait", view{busy: 100, stuck: 50, taken: 60, warm: 2}, 50, 0},
		{"fewer than half of many wait", view{busy: 100, stuck: 49, taken: 60, warm: 2}, 0, 0},
		{"busy", view{busy: 2, taken: 900, warm: 2}, 0, 0},
		{"an added worker has not begun yet", view{busy: 2, stuck: 2, ready: 1, warm: 2}, 0, 0},
		{"more are ready than there are processors", view{busy: 3, stuck: 3, ready: 9, taken: 500, warm: 2}, 0, 4},
		{"late, because handlers compute", view{late: true, busy: 2, stuck: 2, taken: 5000, warm: 2}, 0, 0},
		{"late, and blocked", view{late: true, busy: 8, stuck: 8, taken: 1, warm: 2}, 7, 0},
		{"late, and added ones have not begun yet", view{late: true, busy: 2, stuck: 2, ready: 9, taken: 0, warm: 2}, 2, 0},
	} {
		if grow, retire := x.v.decide(); grow != x.grow || retire != x.retire {
			t.Errorf("%s: grow %d, retire %d; want %d, %d", x.name, grow, retire, x.grow, x.retire)
		}
	}
}

// Retired workers leave work to the others and none of it undone.
func TestRetire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that no look comes between
		p := NewPool(PoolConfig{Warm: 1, MaxWorkers: 8})
		p.mu.Lock()
		for range 8 {
			p.start()
		}
		p.monitor.retire = 5
		p.mu.Unlock()
		var done atomic.Int32
		for range 1000 {
			if err := p.Go(func() { done.Add(1) }); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if done.Load() != 1000 {
			t.Errorf("%d of 1000 functions ran", done.Load())
		}
		if s := p.Stats(); s.Workers != 3 {
			t.Errorf("%d of 8 workers are left after 5 retired", s.Workers)
		}
		closeNow(t, p)
	})
}
