package socket_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
	"parley/peer"
	"parley/socket"
)

// contract checks what Attach promises, per peer.
type contract struct {
	t    *testing.T
	mu   sync.Mutex
	live map[peer.ID]uint64
	next map[string]int
}

func (c *contract) up(p peer.ID, s, _ uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live[p] != 0 {
		c.t.Errorf("up of %d while %d is up", s, c.live[p])
	}
	c.live[p] = s
}

func (c *contract) block(p peer.ID, s uint64, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live[p] != s {
		c.t.Errorf("block of %d while %d is up", s, c.live[p])
	}
	var inc uint64
	var lane, k int
	if n, _ := fmt.Sscanf(string(b[:min(len(b), 60)]), "%d/%d/%d ", &inc, &lane, &k); n != 3 {
		c.t.Errorf("garbage %q", b[:min(len(b), 60)])
	}
	key := fmt.Sprint(p.Short(), s, inc, lane)
	if c.next[key] != k {
		c.t.Errorf("%s: block %d, want %d", key, k, c.next[key])
	}
	c.next[key] = k + 1
}

func (c *contract) down(p peer.ID, s uint64, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live[p] != s {
		c.t.Errorf("down of %d while %d is up", s, c.live[p])
	}
	if !typed(cause) {
		c.t.Errorf("cause %T %v", cause, cause)
	}
	c.live[p] = 0
}

// TestChaos does everything at random to three hosts and checks what Attach and Close promise. SEEDS=n tries
// n seeds instead of a few; a failure names its seed.
func TestChaos(t *testing.T) {
	seeds := 6
	if v, err := strconv.Atoi(os.Getenv("SEEDS")); err == nil {
		seeds = v
	}
	for seed := range seeds {
		alive := watch(t, time.Minute)
		synctest.Test(t, func(t *testing.T) {
			defer func() { <-time.After(10 * time.Minute) }()
			w := &world{t: t, net: simnet.New(uint64(seed))}
			names := []string{"a", "b", "d"}
			var hosts []*node
			for _, n := range names {
				h := w.unattached(n)
				hosts = append(hosts, h)
				w.net.SetLink(addrOf(n).Addr(), func(up, down *simnet.Link) {
					up.Jitter, down.Jitter = 8*time.Millisecond, 8*time.Millisecond
					if seed%2 == 1 {
						up.Loss, down.Loss = 0.05, 0.05
					}
				})
			}
			var wait sync.WaitGroup
			start := time.Now()
			for i, h := range hosts {
				r := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
				c := &contract{t: t, live: map[peer.ID]uint64{}, next: map[string]int{}}
				wait.Go(func() {
					<-time.After(time.Duration(r.IntN(100)) * time.Millisecond)
					h.Attach(c.up, c.block, c.down)
				})
				for g := range 3 {
					r := rand.New(rand.NewPCG(uint64(seed), uint64(100+i*10+g)))
					wait.Go(func() {
						for time.Since(start) < 3*time.Second {
							to := hosts[(i+1+r.IntN(2))%3]
							<-time.After(time.Duration(r.IntN(60)) * time.Millisecond)
							ctx, cancel := context.WithTimeout(context.Background(), time.Duration(20+r.IntN(3000))*time.Millisecond)
							s, err := h.Dial(ctx, to.LocalID(), to.addr)
							if err == nil {
								lane := uint64(g)
								n := r.IntN(30)
								mu := laneMu(s)
								mu.Lock(g)
								for range n {
									if mu.bad[g] {
										break
									}
									k := mu.count(g)
									b := fmt.Appendf(nil, "%d/%d/%d ", s.Incarnation(), lane, k)
									if r.IntN(20) == 0 {
										b = append(b, make([]byte, 70_000)...)
									}
									if s.Send(ctx, lane, b) != nil {
										mu.broken(g)
										break
									}
									mu.sent(g)
								}
								mu.Unlock(g)
								switch r.IntN(6) {
								case 0:
									_ = s.Close(ctx)
								case 1:
									if st, err := s.OpenStream(ctx); err == nil {
										_, _ = st.Write(make([]byte, r.IntN(5000)))
										_ = st.Close()
									}
								case 2:
									ctx, cancel := context.WithTimeout(ctx, time.Duration(r.IntN(30))*time.Millisecond)
									if st, err := s.AcceptStream(ctx); err == nil {
										st.Reset(3)
									}
									cancel()
								}
							}
							cancel()
						}
					})
				}
			}
			wait.Wait()
			for _, h := range hosts {
				wait.Go(func() {
					if rand.IntN(2) == 0 {
						ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
						defer cancel()
						_ = h.Shutdown(ctx)
					} else {
						_ = h.Close()
					}
					if n := h.Held(); n != 0 {
						t.Errorf("%d sessions held after the end", n)
					}
				})
			}
			wait.Wait()
		})
		alive()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// laneState numbers the blocks of one lane of a session; a channel as lock, because waiting for it must not
// stop virtual time.
type laneState struct {
	lock [3]chan struct{}
	n    [3]int
	bad  [3]bool
}

var lanes sync.Map

func laneMu(s *socket.Session) *laneState {
	l := &laneState{}
	for i := range l.lock {
		l.lock[i] = make(chan struct{}, 1)
	}
	v, _ := lanes.LoadOrStore(s, l)
	return v.(*laneState)
}
func (l *laneState) Lock(g int)      { l.lock[g] <- struct{}{} }
func (l *laneState) Unlock(g int)    { <-l.lock[g] }
func (l *laneState) count(g int) int { return l.n[g] }
func (l *laneState) sent(g int)      { l.n[g]++ }
func (l *laneState) broken(g int)    { l.bad[g] = true; l.n[g] = 1 << 30 } // unknown whether it went: send no more

// fuzz: simultaneous dials with loss and jitter, blocks both ways, then graceful closes at random instants.
// When Close returns nil, everything accepted must have been handed up.
func TestMergeAndClose(t *testing.T) {
	seeds := 60
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			defer func() { <-time.After(5 * time.Minute) }()
			r := rand.New(rand.NewPCG(uint64(seed), 9))
			w := &world{t: t, net: simnet.New(uint64(seed))}
			a, b := w.node("a"), w.node("b")
			loss := []float64{0, 0.02, 0.1}[seed%3]
			for _, n := range []string{"a", "b"} {
				w.net.SetLink(addrOf(n).Addr(), func(up, down *simnet.Link) {
					up.Jitter, down.Jitter = 5*time.Millisecond, 5*time.Millisecond
					up.Loss, down.Loss = loss, loss
				})
			}
			type result struct {
				sent int
				err  error
			}
			var res [2]result
			var mu sync.Mutex
			var wait sync.WaitGroup
			run := func(i int, from, to *node, after time.Duration, blocks int, closer bool) {
				<-time.After(after)
				s, err := from.Dial(context.Background(), to.LocalID(), to.addr)
				if err != nil {
					return
				}
				n := 0
				for k := range blocks {
					if s.Send(context.Background(), uint64(i), []byte(fmt.Sprint(i, "-", k))) != nil {
						break
					}
					n++
				}
				var cerr error
				if closer {
					cerr = s.Close(context.Background())
				} else {
					<-s.Done()
					cerr = s.Err()
				}
				mu.Lock()
				res[i] = result{n, cerr}
				mu.Unlock()
			}
			skew := time.Duration(r.IntN(60)) * time.Millisecond
			bothClose := r.IntN(2) == 0
			na, nb := r.IntN(400), r.IntN(400)
			wait.Go(func() { run(0, a, b, 0, na, true) })
			wait.Go(func() { run(1, b, a, skew, nb, bothClose) })
			done := make(chan struct{})
			go func() { wait.Wait(); close(done) }()
			select {
			case <-done:
			case <-time.After(3 * time.Minute):
				t.Errorf("seed %d: stuck", seed)
				_ = a.Close()
				_ = b.Close()
				<-done
			}
			for i, n := range []*node{b, a} { // receiver of i's blocks
				got := n.received()
				if res[i].err == nil && res[i].sent > 0 && len(got) != res[i].sent && (i == 0 || bothClose) {
					t.Errorf("seed %d loss %v skew %v: side %d: Close was nil, %d of %d blocks delivered", seed, loss, skew, i, len(got), res[i].sent)
				}
				if res[i].err != nil && (i == 0 || bothClose) {
					t.Logf("seed %d loss %v: side %d: Close: %v; %d of %d", seed, loss, i, res[i].err, len(got), res[i].sent)
				}
				for k, g := range got {
					if g != fmt.Sprint(i, "-", k) {
						t.Errorf("seed %d: side %d block %d is %q", seed, i, k, g)
						break
					}
				}
			}
			_ = a.Close()
			_ = b.Close()
		})
	}
}
