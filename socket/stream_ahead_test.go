package socket_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"parley/internal/simnet"
)

// That a stream may at first run only a little ahead of its reader costs a transfer whose reader keeps up next to
// nothing (R22): over 100 Mbit/s and a line without limit, with a round trip of 40 ms.
func TestAheadIsNotSlow(t *testing.T) {
	for _, rate := range []float64{100e6, 0} {
		for _, size := range []int64{256 << 10, 1 << 20, 8 << 20} {
			t.Run(fmt.Sprintf("%d bytes at %.0f", size, rate), func(t *testing.T) {
				took := map[bool]time.Duration{}
				for _, limited := range []bool{false, true} {
					inWorld(t, func(w *world) { took[limited] = transfer(w, size, rate, limited) })
				}
				t.Logf("took %v, and without the limit %v", took[true], took[false])
				if took[true] > took[false]*12/10+rtt/2 { // they differ by half a round trip from run to run
					t.Errorf("took %v, and without the limit %v", took[true], took[false])
				}
			})
		}
	}
}

// transfer returns how long a stream takes for so many bytes, over a line of so many bits per second.
func transfer(w *world, size int64, rate float64, limited bool) time.Duration {
	t := w.t
	a, b := w.node("a"), w.node("b")
	w.net.SetLink(addrOf("a").Addr(), func(up, _ *simnet.Link) { up.Rate, up.Queue = rate, 1<<20 })
	x, y := streams(t, a.dial(b), b.session(a))
	if !limited {
		x.Unlimit()
	}
	start := time.Now()
	go func() {
		if _, err := x.Write(make([]byte, size)); err != nil {
			t.Error(err)
		}
		_ = x.CloseWrite()
	}()
	if n, err := io.Copy(io.Discard, y); n != size || err != nil {
		t.Errorf("%d bytes came: %v", n, err)
	}
	return time.Since(start)
}
