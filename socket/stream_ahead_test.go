package socket_test

import (
	"io"
	"testing"
	"time"

	"parley/internal/simnet"
	"parley/socket"
)

// That a stream may at first run only a little ahead of its reader costs a transfer whose reader keeps up next to
// nothing (R22): here 8 MiB at 100 Mbit/s and a round trip of 40 ms.
func TestAheadIsNotSlow(t *testing.T) {
	const size = 8 << 20
	took := map[bool]time.Duration{}
	for _, limited := range []bool{false, true} {
		inWorld(t, func(w *world) {
			a, b := w.node("a"), w.node("b")
			w.net.SetLink(addrOf("a").Addr(), func(up, _ *simnet.Link) { up.Rate, up.Queue = 100e6, 1<<20 })
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
			took[limited] = time.Since(start)
		})
	}
	t.Logf("%v, and without the limit %v", took[true], took[false])
	if took[true] > took[false]*11/10 {
		t.Errorf("took %v, and without the limit %v", took[true], took[false])
	}
}

var _ socket.Config
