package socket_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"parley/internal/simnet"
)

// B3: on a path that loses packets a session comes to send on more lanes, and what goes with one number keeps its order
// all the same, large blocks included; on a path without loss it does not.
func TestWiden(t *testing.T) {
	for _, loss := range []float64{0, 0.05} {
		t.Run(fmt.Sprint("loss ", loss), func(t *testing.T) {
			inWorld(t, func(w *world) {
				a, b := w.node("a"), w.node("b")
				w.net.SetLink(addrOf("b").Addr(), func(up, down *simnet.Link) { up.Loss, down.Loss = loss, loss })
				s := a.dial(b)
				const numbers, blocks = 40, 120
				var wait sync.WaitGroup
				for n := range uint64(numbers) {
					wait.Go(func() {
						r := rand.New(rand.NewPCG(n, 1))
						for i := range blocks {
							block := fmt.Appendf(nil, "%d %d ", n, i)
							if r.IntN(40) == 0 {
								block = append(block, make([]byte, 70_000)...)
							}
							if err := s.Send(context.Background(), n, block); err != nil {
								t.Errorf("send: %v", err)
							}
							<-time.After(time.Duration(r.IntN(50)) * time.Millisecond)
						}
					})
				}
				wait.Wait()
				b.await("blocks missing", func() bool { return len(b.blocks) == numbers*blocks })
				next := map[int]int{}
				for _, got := range b.received() {
					var n, i int
					_, _ = fmt.Sscanf(got[:min(len(got), 30)], "%d %d ", &n, &i)
					if next[n] != i {
						t.Fatalf("number %d: block %d, want %d", n, i, next[n])
					}
					next[n]++
				}
				want := 8
				if loss > 0 {
					want = 64
				}
				if got := a.Lanes(b.LocalID()); got != want {
					t.Errorf("it sends on %d lanes, want %d", got, want)
				}
			})
		})
	}
}
