package socket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// ledger is what the application at one end of a pair of hosts knows: what it has sent in each session and lane,
// and what has come.
type ledger struct {
	t    *testing.T
	name string

	mu       sync.Mutex
	live     uint64            // the session that is up, 0 for none
	received map[string]int    // by the sender's incarnation and lane
	events   map[uint64][]byte // the first letters of each session's, in order
}

func (l *ledger) attach(n *node) {
	n.Observe(func(e socket.Event) {
		l.mu.Lock()
		defer l.mu.Unlock()
		k := e.Session.Incarnation()
		if got := l.events[k]; len(got) == 0 && e.Kind != socket.Up || len(got) > 0 && got[len(got)-1] == 'o' || len(got) > 0 && got[len(got)-1] == e.Kind.String()[0] {
			l.t.Errorf("%s: event %v after %q", l.name, e.Kind, got)
		}
		l.events[k] = append(l.events[k], e.Kind.String()[0])
	})
	n.Attach(
		func(_ peer.ID, s, _ uint64) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.live != 0 {
				l.t.Errorf("%s: up of %d while %d is up", l.name, s, l.live)
			}
			l.live = s
		},
		func(_ peer.ID, s uint64, b []byte) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.live != s {
				l.t.Errorf("%s: block of %d while %d is up", l.name, s, l.live)
			}
			var inc uint64
			var lane, k int
			if n, _ := fmt.Sscanf(string(b[:min(len(b), 60)]), "%d/%d/%d ", &inc, &lane, &k); n != 3 {
				l.t.Errorf("%s: garbage", l.name)
			}
			key := fmt.Sprint(inc, "/", lane)
			if l.received[key] != k {
				l.t.Errorf("%s: %s: block %d, want %d", l.name, key, k, l.received[key])
			}
			l.received[key] = k + 1
		},
		func(_ peer.ID, s uint64, cause error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.live != s || !typed(cause) {
				l.t.Errorf("%s: down of %d (%T %v) while %d is up", l.name, s, cause, cause, l.live)
			}
			l.live = 0
		},
	)
}

// A session's lane, as its sender knows it.
type laneCount struct {
	lock  chan struct{} // as a mutex that virtual time can pass
	sent  int
	maybe bool // the last may have gone or not: no more is sent
}

// pairs has what each of the senders of one seed has sent.
type pairs struct {
	mu    sync.Mutex
	lanes map[string]*laneCount
}

func (p *pairs) lane(incarnation uint64, lane int) *laneCount {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprint(incarnation, "/", lane)
	if p.lanes[key] == nil {
		p.lanes[key] = &laneCount{lock: make(chan struct{}, 1)}
	}
	return p.lanes[key]
}

// pattern is the bytes of a stream from an offset on: a function of the offset only.
func pattern(b []byte, at int) {
	for i := range b {
		b[i] = byte((at + i) * 7 >> 3)
	}
}

// copyOut reads a stream to its end and checks that nothing of it was lost, doubled or reordered.
func copyOut(t *testing.T, x io.Reader) int {
	at := 0
	b, want := make([]byte, 8<<10), make([]byte, 8<<10)
	for {
		n, err := x.Read(b)
		pattern(want[:n], at)
		if string(b[:n]) != string(want[:n]) {
			t.Errorf("a stream has other bytes between %d and %d", at, at+n)
		}
		if at += n; err != nil {
			return at
		}
	}
}

// TestEverything does everything at random and at once to two hosts: kills of paths and connections, changes of
// address, dials from both sides, blocks small and large, streams with children and resets, graceful closes at
// any moment, restarts, pools of 1 to 4 connections, and little memory for replay. It checks what Send, Stream,
// Close, Attach and Observe promise, and that nothing is left. SEEDS=n tries n seeds instead of a few, from
// SEED on.
func TestEverything(t *testing.T) { // C5, C7, C9, C12, SE6, SE8
	seeds, first := 4, 0
	if raceEnabled {
		seeds = 2
	}
	if v, err := strconv.Atoi(os.Getenv("SEEDS")); err == nil {
		seeds = v
	}
	if v, err := strconv.Atoi(os.Getenv("SEED")); err == nil {
		first = v
	}
	for seed := first; seed < first+seeds; seed++ {
		alive := watch(t, 2*time.Minute)
		synctest.Test(t, func(t *testing.T) { everything(t, uint64(seed)) })
		alive()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func everything(t *testing.T, seed uint64) {
	defer func() { <-time.After(10 * time.Minute) }()
	r := rand.New(rand.NewPCG(seed, 77))
	w := &world{t: t, net: simnet.New(seed)}
	all := &pairs{lanes: map[string]*laneCount{}}
	var hosts [2]*node
	var hostsMu sync.Mutex
	var ledgers []*ledger
	at := func(i int) *node {
		hostsMu.Lock()
		defer hostsMu.Unlock()
		return hosts[i]
	}
	config := func(c *socket.Config) {
		c.Connections = 1 + r.IntN(4)
		c.MaxReplay = 1<<20 + r.IntN(4<<20)
		c.LaneBuffer = 64<<10 + r.IntN(256<<10)
		c.Retention = time.Hour
	}
	start := func(i int) {
		name := []string{"a", "b"}[i]
		n := w.unattached(name, config)
		l := &ledger{t: t, name: name, received: map[string]int{}, events: map[uint64][]byte{}}
		l.attach(n)
		hostsMu.Lock()
		hosts[i] = n
		ledgers = append(ledgers, l)
		hostsMu.Unlock()
	}
	start(0)
	start(1)
	loss := []float64{0, 0.01, 0.05}[seed%3]
	for _, n := range []string{"a", "b"} {
		w.net.SetLink(addrOf(n).Addr(), func(up, down *simnet.Link) {
			up.Jitter, down.Jitter, up.Loss, down.Loss = 5*time.Millisecond, 5*time.Millisecond, loss, loss
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(10+r.IntN(20))*time.Second)
	defer cancel()
	var wait, accepting sync.WaitGroup
	finished := make(chan struct{})
	sendSome := func(i int, s *socket.Session, r *rand.Rand) {
		lane := r.IntN(5)
		c := all.lane(s.Incarnation(), lane)
		c.lock <- struct{}{}
		defer func() { <-c.lock }()
		for range r.IntN(20) {
			if c.maybe {
				return
			}
			b := fmt.Appendf(nil, "%d/%d/%d ", s.Incarnation(), lane, c.sent)
			switch r.IntN(30) {
			case 0:
				b = append(b, make([]byte, 70_000+r.IntN(200_000))...)
			case 1, 2, 3:
				b = append(b, make([]byte, r.IntN(30_000))...)
			}
			sctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
			err := s.Send(sctx, uint64(lane), b)
			stop()
			if err != nil {
				c.maybe = len(b) > 64<<10 // a small one was not taken
				return
			}
			c.sent++
		}
	}
	streamSome := func(s *socket.Session, r *rand.Rand) {
		sctx, stop := context.WithTimeout(context.Background(), time.Duration(r.IntN(20_000))*time.Millisecond)
		defer stop()
		x, err := s.OpenStream(sctx)
		if err != nil {
			return
		}
		if r.IntN(3) == 0 {
			if kid, err := x.OpenStream(sctx); err == nil {
				_, _ = kid.Write([]byte{0})
				if r.IntN(2) == 0 {
					_ = kid.Close()
				}
			}
		}
		_ = x.SetDeadline(time.Now().Add(time.Minute))
		size := r.IntN(300_000)
		b := make([]byte, size)
		pattern(b, 0)
		_, err = x.Write(b)
		switch r.IntN(5) {
		case 0:
			x.Reset(5)
			return
		case 1:
			_, _ = x.Abandon(6)
			return
		case 2:
			_ = x.Close()
			return
		}
		_ = x.CloseWrite()
		if err == nil && x.WaitAcknowledged(sctx, uint64(size)) == nil {
			if got := copyOut(t, x); got > size {
				t.Errorf("%d bytes came back of %d", got, size)
			}
		}
		_ = x.Close()
	}
	closeCheck := func(i int, s *socket.Session, r *rand.Rand) {
		sctx, stop := context.WithTimeout(context.Background(), time.Duration(r.IntN(30_000))*time.Millisecond)
		defer stop()
		// What was accepted before Close was called: blocks that are being sent meanwhile do not count.
		before := map[int]int{}
		for lane := range 5 {
			c := all.lane(s.Incarnation(), lane)
			select {
			case c.lock <- struct{}{}:
				before[lane] = c.sent
				<-c.lock
			default:
			}
		}
		if s.Close(sctx) != nil {
			return
		}
		hostsMu.Lock()
		defer hostsMu.Unlock()
		for lane, n := range before {
			got := 0
			for _, l := range ledgers {
				l.mu.Lock()
				got = max(got, l.received[fmt.Sprint(s.Incarnation(), "/", lane)])
				l.mu.Unlock()
			}
			if got < n {
				t.Errorf("Close was nil, but of lane %d only %d of %d blocks have come", lane, got, n)
			}
		}
	}
	for i := range 2 {
		for g := range 4 {
			r := rand.New(rand.NewPCG(seed, uint64(100+i*10+g)))
			wait.Go(func() {
				for ctx.Err() == nil {
					<-time.After(time.Duration(r.IntN(400)) * time.Millisecond)
					h, other := at(i), at(1-i)
					dctx, stop := context.WithTimeout(context.Background(), time.Duration(20+r.IntN(5000))*time.Millisecond)
					s, err := h.Dial(dctx, other.LocalID(), other.addr)
					stop()
					if err != nil {
						continue
					}
					switch k := r.IntN(30); {
					case k < 15:
						sendSome(i, s, r)
					case k < 26:
						streamSome(s, r)
					case k < 28:
						h.KillLink(other.LocalID(), r.IntN(4))
					case k == 28:
						h.NetworkChanged()
					default:
						closeCheck(i, s, r)
					}
				}
			})
		}
		// Whatever comes is echoed; children are left to their parents.
		accepting.Go(func() {
			var mu sync.Mutex
			busy := map[*socket.Session]bool{}
			for {
				select {
				case <-finished:
					return
				case <-time.After(50 * time.Millisecond):
				}
				for s := range at(i).Sessions() {
					if mu.Lock(); busy[s] {
						mu.Unlock()
						continue
					}
					busy[s] = true
					mu.Unlock()
					accepting.Go(func() {
						for {
							x, err := s.AcceptStream(context.Background())
							if err != nil {
								return
							}
							accepting.Go(func() {
								defer x.Close()
								_ = x.SetDeadline(time.Now().Add(2 * time.Minute))
								n := copyOut(t, x)
								b := make([]byte, n/2)
								pattern(b, 0)
								_, _ = x.Write(b)
							})
						}
					})
				}
			}
		})
	}
	fr := rand.New(rand.NewPCG(seed, 5))
	wait.Go(func() {
		for ctx.Err() == nil {
			<-time.After(time.Duration(fr.IntN(3000)) * time.Millisecond)
			switch fr.IntN(6) {
			case 0: // restart
				i := fr.IntN(2)
				h := at(i)
				if fr.IntN(2) == 0 {
					sctx, stop := context.WithTimeout(context.Background(), time.Duration(fr.IntN(3000))*time.Millisecond)
					_ = h.Shutdown(sctx)
					stop()
				} else {
					_ = h.Close()
				}
				gone(t, h)
				start(i)
			default:
				a, b := at(0), at(1)
				w.cut(a, b, true)
				<-time.After(time.Duration(fr.IntN(4000)) * time.Millisecond)
				w.cut(a, b, false)
			}
		}
	})
	wait.Wait()
	a, b := at(0), at(1)
	// The network is whole again: everything that was accepted in the session that is left must arrive (R31).
	<-time.After(time.Second)
	for i, h := range []*node{a, b} {
		for s := range h.Sessions() {
			if s.State() == socket.StateEstablished {
				cctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
				if err := s.Close(cctx); err != nil && errors.Is(err, socket.Timeout) {
					t.Errorf("side %d: Close of what is left: %v", i, err)
				}
				stop()
			}
		}
	}
	for _, h := range []*node{a, b} {
		_ = h.Close()
		gone(t, h)
	}
	close(finished)
	accepting.Wait()
}

// gone checks that a host that is closed holds nothing.
func gone(t *testing.T, h *node) {
	t.Helper()
	if n, m, l := h.Held(), h.Replay(), h.LargeMemory(); n != 0 || m != 0 || l != 0 {
		t.Errorf("%d sessions, %d bytes for replay and %d of large blocks are held after the end", n, m, l)
	}
}
