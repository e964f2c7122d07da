package socket_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
	"parley/peer"
	"parley/socket"
	"parley/wire"
)

// cut makes the path between two nodes a black hole, or lets packets pass again.
func (w *world) cut(a, b *node, on bool) {
	x, y := netip.MustParseAddrPort(a.addr).Addr(), netip.MustParseAddrPort(b.addr).Addr()
	w.net.Blackhole(x, y, on)
	w.net.Blackhole(y, x, on)
}

// history records a host's events.
type history struct {
	mu   sync.Mutex
	list []socket.Event
	at   []time.Time
}

func (n *node) history() *history {
	h := &history{}
	n.Observe(func(e socket.Event) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.list = append(h.list, e)
		h.at = append(h.at, time.Now())
	})
	return h
}

func (h *history) kinds() (out []socket.EventKind) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.list {
		out = append(out, e.Kind)
	}
	return out
}

// sends numbered blocks on a few lanes, one every interval, until ctx ends.
func (n *node) stream(ctx context.Context, to *node, every time.Duration) (sent int) {
	for ctx.Err() == nil {
		if err := n.Send(context.Background(), to.LocalID(), 0, 0, fmt.Append(nil, sent)); err != nil {
			n.w.t.Errorf("send: %v", err)
			return sent
		}
		sent++
		<-time.After(every)
	}
	return sent
}

// inOrder checks that n received exactly the blocks 0 to count-1.
func (n *node) inOrder(count int) {
	n.w.t.Helper()
	got := n.received()
	if len(got) != count {
		n.w.t.Errorf("%d blocks, want %d", len(got), count)
	}
	for i, b := range got {
		if b != fmt.Sprint(i) {
			n.w.t.Fatalf("block %d is %q", i, b)
		}
	}
}

// C9, R4: outages of a second to ten minutes in the middle of traffic. Nothing is lost, doubled or reordered, traffic
// goes on soon after the path is back, and whoever observes the host is told.
func TestBlackhole(t *testing.T) { // SE6, SE7
	for _, outage := range []time.Duration{300 * time.Millisecond, 1500 * time.Millisecond, 5 * time.Second, time.Minute, 10 * time.Minute} {
		t.Run(outage.String(), func(t *testing.T) {
			inWorld(t, func(w *world) {
				a, b := w.node("a"), w.node("b")
				s := a.dial(b)
				events := a.history()
				ctx, cancel := context.WithCancel(context.Background())
				sent := make(chan int)
				go func() { sent <- a.stream(ctx, b, 20*time.Millisecond) }()
				<-time.After(time.Second)
				w.cut(a, b, true)
				<-time.After(outage)
				n := len(b.received())
				back := time.Now()
				w.cut(a, b, false)
				b.await("nothing came", func() bool { return len(b.blocks) > n })
				if took := time.Since(back); took > 3*time.Second {
					t.Errorf("resumed %v after the path was back", took)
				} else {
					t.Logf("resumed after %v", took)
				}
				cancel()
				count := <-sent
				b.await("blocks missing", func() bool { return len(b.blocks) >= count })
				b.inOrder(count)
				if err := s.Err(); err != nil {
					t.Errorf("the session ended: %v", err)
				}
				<-time.After(time.Second)
				var want []socket.EventKind
				switch {
				case outage >= 5*time.Second:
					want = []socket.EventKind{socket.Stalled, socket.Down, socket.Up}
				case outage >= time.Second:
					want = []socket.EventKind{socket.Stalled, socket.Up}
				}
				if got := events.kinds(); !slices.Equal(got, want) {
					t.Errorf("events %v, want %v", got, want)
				}
			})
		})
	}
}

// C9: an outage longer than the retention. Both sides end the session with a clear reason, and begin anew.
func TestLongerThanRetention(t *testing.T) { // SE8
	inWorld(t, func(w *world) {
		short := func(c *socket.Config) { c.Retention = time.Minute }
		a, b := w.node("a", short), w.node("b", short)
		s := a.dial(b)
		first := s.ID()
		if err := s.Send(context.Background(), 0, []byte("1")); err != nil {
			t.Fatal(err)
		}
		b.await("block missing", func() bool { return len(b.blocks) == 1 })
		w.cut(a, b, true)
		if err := s.Send(context.Background(), 0, []byte("lost")); err != nil {
			t.Fatal(err)
		}
		<-s.Done()
		wantCode(t, s.Err(), socket.Timeout)
		b.await("b did not notice", func() bool { return len(b.downs) == 1 })
		wantCode(t, b.downs[0], socket.Timeout)
		w.cut(a, b, false)
		s = a.dial(b)
		if s.ID() == first {
			t.Error("the new session has the id of the old one")
		}
		if err := s.Send(context.Background(), 0, []byte("2")); err != nil {
			t.Fatal(err)
		}
		b.await("block missing", func() bool { return len(b.blocks) == 2 })
		if got := b.received(); got[1] != "2" {
			t.Errorf("got %q: the sessions were mixed", got)
		}
	})
}

// C9: one side has lost the state, the other has not. The survivor is told so when it asks to go on, both sides
// start clean, and if the survivor's application had asked for the session it gets another by itself.
func TestStateLost(t *testing.T) { // SE8
	inWorld(t, func(w *world) {
		a := w.node("a")
		b := w.node("b", func(c *socket.Config) { c.Retention = 10 * time.Second })
		s := a.dial(b)
		events := a.history()
		w.cut(a, b, true)
		<-time.After(2 * time.Minute)
		b.await("b keeps it", func() bool { return len(b.downs) == 1 })
		if err := s.Send(context.Background(), 0, []byte("lost")); err != nil {
			t.Fatal(err)
		}
		w.cut(a, b, false)
		<-s.Done()
		wantCode(t, s.Err(), socket.StateLost)
		if _, ok := errors.AsType[*socket.PeerError](s.Err()); !ok {
			t.Errorf("%T: the peer said so", s.Err())
		}
		a.await("no new session", func() bool { return len(a.ups) == 2 })
		b.await("no new session", func() bool { return len(b.ups) == 2 })
		<-time.After(time.Minute)
		if got := b.received(); len(got) > 0 {
			t.Errorf("%q came from the old session", got)
		}
		if got := events.kinds(); !slices.Equal(got, []socket.EventKind{socket.Down, socket.Over, socket.Up}) {
			t.Errorf("events %v", got)
		}
	})
}

// C9, R8, R9: either side's address changes in the middle of traffic, and that side knows it. No stall beyond a
// second.
func TestAddressChange(t *testing.T) {
	for _, who := range []string{"dialler", "listener"} {
		for _, hint := range []bool{true, false} {
			t.Run(fmt.Sprint(who, " hint ", hint), func(t *testing.T) {
				inWorld(t, func(w *world) {
					a, b := w.node("a"), w.node("b")
					a.dial(b)
					moving := a
					if who == "listener" {
						moving = b
					}
					b.session(a)
					ctx, cancel := context.WithCancel(context.Background())
					sent := make(chan int)
					go func() { sent <- a.stream(ctx, b, 10*time.Millisecond) }()
					back := make(chan int)
					go func() { back <- b.stream(ctx, a, 10*time.Millisecond) }()
					<-time.After(time.Second)
					for i := range 5 {
						from := moving.pc.LocalAddr().String()
						to := netip.AddrFrom4([4]byte{198, 18, 9, byte(i)})
						if err := w.net.Move(netip.MustParseAddrPort(from).Addr(), to); err != nil {
							t.Fatal(err)
						}
						if hint {
							moving.NetworkChanged()
						}
						start := time.Now()
						<-time.After(2 * oneWay) // what was under way from the old address
						na, nb := len(a.received()), len(b.received())
						a.await("nothing came to a", func() bool { return len(a.blocks) > na })
						b.await("nothing came to b", func() bool { return len(b.blocks) > nb })
						if took := time.Since(start); took > time.Second {
							t.Errorf("stalled for %v", took)
						} else {
							t.Logf("stalled for %v", took)
						}
						<-time.After(3 * time.Second)
					}
					cancel()
					n, m := <-sent, <-back
					b.await("blocks missing", func() bool { return len(b.blocks) >= n })
					a.await("blocks missing", func() bool { return len(a.blocks) >= m })
					b.inOrder(n)
					a.inOrder(m)
				})
			})
		}
	}
}

// R11: the NAT of the dialler forgets its mappings in the middle of traffic.
func TestRebinding(t *testing.T) {
	inWorld(t, func(w *world) {
		nat := w.net.AddNAT(netip.MustParseAddr("203.0.113.7"), simnet.PortRestricted, 30*time.Second)
		a, b := w.node("a"), w.node("b")
		w.net.AddHost(addrOf("a").Addr(), simnet.Link{Delay: oneWay}, nat)
		a.dial(b)
		b.session(a)
		ctx, cancel := context.WithCancel(context.Background())
		sent, back := make(chan int), make(chan int)
		go func() { sent <- a.stream(ctx, b, 10*time.Millisecond) }()
		go func() { back <- b.stream(ctx, a, 10*time.Millisecond) }()
		for range 20 {
			<-time.After(2 * time.Second)
			nat.Rebind()
			start := time.Now()
			<-time.After(2 * oneWay)
			na, nb := len(a.received()), len(b.received())
			a.await("nothing came to a", func() bool { return len(a.blocks) > na })
			b.await("nothing came to b", func() bool { return len(b.blocks) > nb })
			if took := time.Since(start); took > time.Second {
				t.Errorf("stalled for %v", took)
			}
		}
		cancel()
		n, m := <-sent, <-back
		b.await("blocks missing", func() bool { return len(b.blocks) >= n })
		a.await("blocks missing", func() bool { return len(a.blocks) >= m })
		b.inOrder(n)
		a.inOrder(m)
	})
}

// C11: the same key on a second device supersedes the first, which is told why and does not take it back, also
// when the second device's clock is a year slow.
func TestSecondDevice(t *testing.T) { // SE9, SE11
	inWorld(t, func(w *world) {
		b := w.node("b")
		first := w.node("a")
		s := first.dial(b)
		second := w.host("a", addrOf("elsewhere"))
		second.attach()
		if _, err := second.Dial(context.Background(), b.LocalID(), b.addr); err != nil {
			t.Fatal(err)
		}
		<-s.Done()
		wantCode(t, s.Err(), socket.Superseded)
		<-time.After(time.Hour)
		if n := first.Held(); n != 0 {
			t.Error("the first device went on")
		}
		if len(b.ups) != 2 {
			t.Errorf("%d sessions in all, want 2", len(b.ups))
		}
	})
}

// A device whose clock is slow asks with a number that is too low; it is told which to exceed (SE9).
func TestOutdated(t *testing.T) { // SE9
	inWorld(t, func(w *world) {
		a, b, x := w.node("a"), w.node("b"), w.stranger("x")
		_ = a
		c, err := x.dial(b, x.certificate("a"))
		if err != nil {
			t.Fatal(err)
		}
		future := uint64(time.Now().Add(365 * 24 * time.Hour).UnixMicro())
		hello(t, c, func(h *wire.Hello) { h.Incarnation = future })
		b.await("no session", func() bool { return len(b.ups) == 1 })
		s, err := a.Dial(context.Background(), b.LocalID(), b.addr)
		if err != nil {
			t.Fatal(err)
		}
		if s.Incarnation() <= future {
			t.Errorf("incarnation %d, want above %d", s.Incarnation(), future)
		}
		b.await("not superseded", func() bool { return len(b.downs) == 1 && len(b.ups) == 2 })
	})
}

// C2, R27: 500 simultaneous dials with random skew, delay, loss and jitter: one session each, and every block arrives.
func TestSimultaneousDials(t *testing.T) { // SE11, SE12
	r := rand.New(rand.NewPCG(500, 1))
	dials := 500
	if raceEnabled {
		dials = 100
	}
	for i := range dials {
		synctest.Test(t, func(t *testing.T) {
			defer func() { <-time.After(5 * time.Minute) }()
			w := &world{t: t, net: simnet.New(uint64(i))}
			a, b := w.node("a"), w.node("b")
			loss := []float64{0, 0, 0.05, 0.2}[r.IntN(4)]
			for _, n := range []string{"a", "b"} {
				d := time.Duration(r.IntN(40)) * time.Millisecond
				w.net.SetLink(addrOf(n).Addr(), func(up, down *simnet.Link) {
					up.Delay, down.Delay = d, d
					up.Jitter, down.Jitter = d/4, d/4
					up.Loss, down.Loss = loss, loss
				})
			}
			skew := time.Duration(r.IntN(200)-100) * time.Millisecond
			var wait sync.WaitGroup
			var ids [2]string
			dial := func(k int, from, to *node, after time.Duration) {
				<-time.After(after)
				s, err := from.Dial(context.Background(), to.LocalID(), to.addr)
				if err != nil {
					t.Errorf("%d: dial: %v; %v, %v", i, err, a.downs, b.downs)
					return
				}
				ids[k] = s.ID()
				for n := range 20 {
					if err := s.Send(context.Background(), 0, fmt.Append(nil, n)); err != nil {
						t.Errorf("%d: send: %v", i, err)
					}
					<-time.After(5 * time.Millisecond)
				}
			}
			wait.Go(func() { dial(0, a, b, max(0, -skew)) })
			wait.Go(func() { dial(1, b, a, max(0, skew)) })
			wait.Wait()
			a.await("blocks missing", func() bool { return len(a.blocks) == 20 })
			b.await("blocks missing", func() bool { return len(b.blocks) == 20 })
			a.inOrder(20)
			b.inOrder(20)
			if ids[0] != ids[1] || ids[0] == "" || len(a.ups) != 1 || len(b.ups) != 1 {
				t.Errorf("%d: ids %v, %d and %d sessions; %v, %v", i, ids, len(a.ups), len(b.ups), a.downs, b.downs)
			}
			<-time.After(time.Minute)
			if n, m := a.Links(b.LocalID()), b.Links(a.LocalID()); n != 1 || m != 1 {
				t.Errorf("%d: %d and %d connections remain", i, n, m)
			}
			_ = a.Close()
			_ = b.Close()
		})
		if t.Failed() {
			return
		}
	}
}

// C8: with nothing to send, attempts to reconnect begin after a second and their pauses double to a minute, each with
// jitter; Config.Reconnect is asked and can give up.
func TestReconnectBackoff(t *testing.T) {
	inWorld(t, func(w *world) {
		var attempts []time.Time
		a := w.node("a", func(c *socket.Config) {
			c.IdleTimeout = 10 * time.Second
			c.Reconnect = func(_ *socket.Session, attempt int, last error) bool {
				if attempt != len(attempts)+2 || last == nil {
					t.Errorf("attempt %d, %v", attempt, last)
				}
				attempts = append(attempts, time.Now())
				return len(attempts) < 12
			}
		})
		b := w.node("b", func(c *socket.Config) { c.Retention = time.Second })
		s := a.dial(b)
		w.cut(a, b, true)
		<-s.Done()
		wantCode(t, s.Err(), socket.Timeout)
		want, equal := 2*time.Second, 0
		for i := range attempts[1:] {
			got := attempts[i+1].Sub(attempts[i])
			want = min(want*2, time.Minute)
			if got < want*3/4-time.Millisecond || got > want*5/4+time.Millisecond {
				t.Errorf("pause %d: %v, want %v give or take a quarter", i, got, want)
			}
			if got == want {
				equal++
			}
		}
		if equal > 2 {
			t.Error("no jitter")
		}
	})
}

// C12: a session over several connections: lanes are spread over them, one that dies is replaced, and nothing is lost.
func TestPool(t *testing.T) { // SE10
	inWorld(t, func(w *world) {
		four := func(c *socket.Config) { c.Connections = 4 }
		a, b := w.node("a", four), w.node("b")
		s := a.dial(b)
		<-time.After(10 * time.Second)
		if n, m := a.Links(b.LocalID()), b.Links(a.LocalID()); n != 4 || m != 4 {
			t.Fatalf("%d and %d connections, want 4", n, m)
		}
		for i := range 100 {
			if err := s.Send(context.Background(), 0, fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
			if i%10 == 0 {
				a.KillLink(b.LocalID(), i/10%4)
			}
			<-time.After(100 * time.Millisecond)
		}
		b.await("blocks missing", func() bool { return len(b.blocks) >= 100 })
		b.inOrder(100)
		<-time.After(time.Minute)
		if n, m := a.Links(b.LocalID()), b.Links(a.LocalID()); n != 4 || m != 4 {
			t.Errorf("%d and %d connections in the end, want 4", n, m)
		}
	})
}

// C12: the connection of a pool that is much slower than the best is replaced after a while, by one made before it is
// left; a pool of equals is left alone. One that falls silent is noticed although nothing is sent.
func TestPoolMonitor(t *testing.T) { // SE10
	inWorld(t, func(w *world) {
		a, b := w.node("a", func(c *socket.Config) { c.Connections = 3 }), w.node("b")
		a.dial(b)
		<-time.After(20 * time.Minute)
		if got := a.Ranks(b.LocalID()); !slices.Equal(got, []uint64{3, 2, 1}) {
			t.Fatalf("generations %v: a pool of equals was changed", got)
		}
		a.Slow(b.LocalID(), 1, 500*time.Millisecond)
		fewest := 3
		for range 600 {
			<-time.After(time.Second)
			fewest = min(fewest, a.Links(b.LocalID()))
		}
		if got := a.Ranks(b.LocalID()); !slices.Equal(got, []uint64{4, 3, 1}) || fewest < 3 {
			t.Errorf("generations %v, at least %d connections; want the second replaced, by one made before", got, fewest)
		}
		if got := b.Ranks(a.LocalID()); !slices.Equal(got, []uint64{4, 3, 1}) {
			t.Errorf("the other side has generations %v", got)
		}
	})
}

// Threat T9: what is held for peers without a connection is bounded; the session that has been without for longest is
// given up when the room is needed, and senders wait rather than lose.
func TestReplayIsBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node("a", func(c *socket.Config) {
			c.MaxReplay, c.LaneBuffer, c.Lanes = 2<<20, 1<<20, 1 // one session may hold half a MiB
		})
		var gone []*socket.Session
		for i := range 4 {
			n := w.node(fmt.Sprint("gone", i))
			s := a.dial(n)
			gone = append(gone, s)
			w.cut(a, n, true)
			for { // until its own buffer is full, or there is no room for it
				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
				err := s.Send(ctx, 0, make([]byte, 10_000))
				cancel()
				if err != nil {
					wantCode(t, err, socket.Timeout)
					break
				}
			}
			<-time.After(time.Minute)
		}
		if used := a.Replay(); used > 2<<20 {
			t.Errorf("%d bytes are held", used)
		}
		b := w.node("b")
		s := a.dial(b)
		for range 200 {
			if err := s.Send(context.Background(), 0, make([]byte, 10_000)); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, gone[0].Err(), socket.Limit)
		b.await("blocks missing", func() bool { return len(b.blocks) == 200 })
		<-time.After(time.Minute)
		for _, s := range gone {
			_ = s.Close(expired())
		}
		if used := a.Replay(); used != 0 {
			t.Errorf("%d bytes are held in the end", used)
		}
	})
}

func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// A session that is down takes part in a Dial: the peer's address is remembered, and the session resumes there.
func TestDialResumes(t *testing.T) { // C8, T9
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		s := a.dial(b)
		if err := w.net.Move(addrOf("b").Addr(), netip.MustParseAddr("198.18.0.9")); err != nil {
			t.Fatal(err)
		}
		w.net.Blackhole(netip.MustParseAddr("198.18.0.9"), addrOf("a").Addr(), true) // b itself cannot call
		<-time.After(5 * time.Minute)
		if s.Condition() != socket.ConditionDown {
			t.Fatalf("condition %v", s.Condition())
		}
		w.net.Blackhole(netip.MustParseAddr("198.18.0.9"), addrOf("a").Addr(), false)
		start := time.Now()
		again, err := a.Dial(context.Background(), b.LocalID(), "198.18.0.9:4000")
		if err != nil || again != s {
			t.Fatalf("%v, the same session: %v", err, again == s)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// T8: another key cannot take up a session, whatever it knows of it.
func TestStolenSession(t *testing.T) { // SE11
	inWorld(t, func(w *world) {
		a, b, x := w.node("a"), w.node("b"), w.stranger("x")
		s := a.dial(b)
		b.session(a)
		c, err := x.dial(b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		hello(t, c, func(h *wire.Hello) { h.Incarnation, h.PeerIncarnation = s.Incarnation(), s.RemoteIncarnation() })
		if got := fate(c, nil); got != 11 {
			t.Errorf("closed with %d, want 11 (state lost)", got)
		}
		if err := s.Err(); err != nil {
			t.Errorf("the victim's session ended: %v", err)
		}
		if len(b.ups) != 1 {
			t.Error("a session came up")
		}
	})
}

var _ = peer.ID{}
