package socket_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
	"parley/peer"
	"parley/socket"
)

// mill is one side of the traffic of a kill test: it sends numbered blocks in many conversations and checks
// those it receives.
type mill struct {
	t    *testing.T
	node *node

	mu      sync.Mutex
	next    [conversations]int // of each conversation, to come
	sent    [conversations]int
	heard   time.Time     // when the last block came
	more    chan struct{} // closed and replaced when a block comes
	events  []socket.EventKind
	streams int // read whole
}

const (
	conversations  = 200
	streamsEachWay = 8
)

func newMill(t *testing.T, n *node) *mill {
	m := &mill{t: t, node: n, more: make(chan struct{})}
	n.Attach(func(peer.ID, uint64, uint64) {}, m.receive, func(_ peer.ID, _ uint64, cause error) { _ = cause })
	n.Observe(func(e socket.Event) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.events = append(m.events, e.Kind)
	})
	return m
}

func (m *mill) receive(_ peer.ID, _ uint64, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var conversation, number int
	if _, err := fmt.Sscanf(string(b[:min(len(b), 40)]), "%d %d ", &conversation, &number); err != nil {
		m.t.Errorf("garbage: %v", err)
		return
	}
	if number != m.next[conversation] {
		m.t.Errorf("conversation %d: block %d, want %d", conversation, number, m.next[conversation])
	}
	m.next[conversation] = number + 1
	m.heard = time.Now()
	close(m.more)
	m.more = make(chan struct{})
}

// grind sends until ctx ends: some block every 10 ms on average, now and then a large one.
func (m *mill) grind(ctx context.Context, to peer.ID, r *rand.Rand) {
	for ctx.Err() == nil {
		<-time.After(time.Duration(r.IntN(20)) * time.Millisecond)
		c := r.IntN(conversations)
		b := fmt.Appendf(nil, "%d %d ", c, m.sent[c])
		b = append(b, make([]byte, r.IntN(2000))...)
		if err := m.node.Send(context.Background(), to, 0, uint64(c), b); err != nil {
			m.t.Errorf("send: %v", err)
			return
		}
		m.mu.Lock()
		m.sent[c]++
		m.mu.Unlock()
	}
}

// pour sends streams of one MiB each, one after the other, until ctx ends: 16 KiB at a time, with pauses.
func (m *mill) pour(ctx context.Context, s *socket.Session, seed uint64) {
	for ; ctx.Err() == nil; seed += 1000 {
		x, err := s.OpenStream(context.Background())
		if err != nil {
			m.t.Errorf("open stream: %v", err)
			return
		}
		r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
		_, err = x.Write(binary.BigEndian.AppendUint64(nil, seed))
		for range mebibyte / (16 << 10) {
			b := make([]byte, 16<<10)
			_, _ = r.Read(b)
			if err == nil {
				_, err = x.Write(b)
			}
			<-time.After(time.Duration(200+seed%16*20) * time.Millisecond)
		}
		if err != nil {
			m.t.Errorf("stream %d: %v", seed, err)
			return
		}
		_ = x.CloseWrite()
		if err := x.WaitAcknowledged(context.Background(), x.Written()); err != nil { // B9
			m.t.Errorf("stream %d: %v", seed, err)
		}
		_ = x.Close()
	}
}

const mebibyte = 1 << 20

// drink reads the peer's streams and compares every byte with what it must be.
func (m *mill) drink(s *socket.Session) {
	for {
		x, err := s.AcceptStream(context.Background())
		if err != nil {
			return // the session is over
		}
		go func() {
			defer x.Close()
			var head [8]byte
			if _, err := io.ReadFull(x, head[:]); err != nil {
				m.t.Errorf("stream: %v", err)
				return
			}
			seed := binary.BigEndian.Uint64(head[:])
			r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
			got, want := sha256.New(), sha256.New()
			n, err := io.Copy(got, x)
			_, _ = io.CopyN(want, r, mebibyte)
			if err != nil || n != mebibyte || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
				m.t.Errorf("stream %d: %d bytes, %v; the same: %v", seed, n, err, bytes.Equal(got.Sum(nil), want.Sum(nil)))
			}
			m.mu.Lock()
			m.streams++
			m.mu.Unlock()
		}()
	}
}

// read is how many streams were read whole.
func (m *mill) read() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.streams
}

// awaitBlock waits for the next block, at most a minute.
func (m *mill) awaitBlock() time.Time {
	m.mu.Lock()
	more := m.more
	m.mu.Unlock()
	select {
	case <-more:
	case <-time.After(time.Minute):
		m.t.Errorf("nothing came for a minute")
	}
	return time.Now()
}

// faults are n random kills of the path between a, who may move, and b.
func faults(r *rand.Rand, n int, a, b netip.Addr, nat bool) (out []simnet.Fault) {
	for i := range n {
		f := simnet.Fault{After: time.Duration(50+r.IntN(1500)) * time.Millisecond, For: time.Duration(50+r.IntN(5000)) * time.Millisecond, A: a, B: b}
		switch r.IntN(8) {
		case 0, 1, 2:
			f.Kind = simnet.Cut
		case 3:
			f.Kind = simnet.CutOneWay
		case 4:
			f.Kind, f.A, f.B = simnet.CutOneWay, b, a
		case 5:
			f.Kind, f.Loss = simnet.BurstLoss, 0.3+r.Float64()*0.6
		case 6:
			f.Kind, f.For, f.To = simnet.AddressChange, 0, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
			a = f.To
		case 7:
			f.Kind, f.For = simnet.Cut, time.Duration(1+r.IntN(20))*time.Millisecond
			if nat {
				f.Kind, f.For = simnet.Rebinding, 0
			}
		}
		out = append(out, f)
	}
	return out
}

// The promise of package socket (C9): a thousand kills of the path during 200 conversations and streams each
// way, and every block and byte arrives exactly once and in order, soon after the path is back. KILLS=n tries
// another number.
func TestPathKills(t *testing.T) { // SE6, SE7, BL2, R4, R8, R11, R13
	kills := 60
	if raceEnabled {
		kills = 12
	}
	if v, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		kills = v
	}
	defer watch(t, time.Minute+time.Duration(kills)*time.Second)()
	for variant, nat := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			defer func() { <-time.After(5 * time.Minute) }()
			w := &world{t: t, net: simnet.New(uint64(variant))}
			a, b := w.unattached("a"), w.unattached("b")
			if nat {
				w.net.AddHost(addrOf("a").Addr(), simnet.Link{Delay: oneWay}, w.net.AddNAT(netip.MustParseAddr("203.0.113.77"), simnet.PortRestricted, 30*time.Second))
			}
			ma, mb := newMill(t, a), newMill(t, b)
			s := a.dial(b)
			r := rand.New(rand.NewPCG(uint64(variant), 5))
			ctx, cancel := context.WithCancel(context.Background())
			var wait sync.WaitGroup
			wait.Go(func() { ma.grind(ctx, b.LocalID(), rand.New(rand.NewPCG(1, 1))) })
			wait.Go(func() { mb.grind(ctx, a.LocalID(), rand.New(rand.NewPCG(1, 2))) })
			<-time.After(rtt)
			back, ok := b.Session(a.LocalID())
			if !ok {
				t.Fatal("no session")
			}
			go ma.drink(s)
			go mb.drink(back)
			for i := range uint64(streamsEachWay) {
				wait.Go(func() { ma.pour(ctx, s, i) })
				wait.Go(func() { mb.pour(ctx, back, 500+i) })
			}

			var resumes []time.Duration
			var worst simnet.Fault
			err := w.net.Play(ctx, faults(r, kills, addrOf("a").Addr(), addrOf("b").Addr(), nat), nil, func(f simnet.Fault) {
				if f.Kind == simnet.AddressChange {
					a.NetworkChanged()
				}
				start := time.Now()
				ma.awaitBlock()
				mb.awaitBlock()
				d := time.Since(start)
				if len(resumes) == 0 || d > slices.Max(resumes) {
					worst = f
				}
				resumes = append(resumes, d)
			})
			if err != nil {
				t.Error(err)
			}
			cancel()
			wait.Wait()
			<-time.After(time.Minute)
			if ma.read() == 0 || mb.read() == 0 {
				t.Error("no stream was read whole")
			}
			for c := range conversations {
				if ma.next[c] != mb.sent[c] || mb.next[c] != ma.sent[c] {
					t.Errorf("conversation %d: %d of %d and %d of %d arrived", c, ma.next[c], mb.sent[c], mb.next[c], ma.sent[c])
				}
			}
			slices.Sort(resumes)
			median, most := resumes[len(resumes)/2], resumes[len(resumes)-1]
			t.Logf("%d and %d streams of 1 MiB", ma.read(), mb.read())
			t.Logf("%d kills, NAT %v: resume after the path is back: median %v, 95 %% %v, most %v (%v)",
				kills, nat, median, resumes[len(resumes)*95/100], most, worst)
			if median > rtt+200*time.Millisecond || most > 2*time.Second {
				t.Errorf("resumed after %v in the median and %v at most, want 1 RTT + 200 ms and 2 s", median, most)
			}
			if err := s.Err(); err != nil {
				t.Errorf("session: %v", err)
			}
			a.Host.Close()
			b.Host.Close()
		})
	}
}
