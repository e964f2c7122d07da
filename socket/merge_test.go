package socket_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
	"parley/socket"
)

// C2, R27: two simultaneous dials give one session at both ends, with one id, whatever the
// interleaving, and no block is lost, doubled or reordered while the two connections merge.
func TestSimultaneousDial(t *testing.T) { // SE11, SE12, BL2
	const skews, blocks = 60, 40
	for i := range skews {
		skew := time.Duration(i-skews/2) * 2 * time.Millisecond // b dials so much after a; the round trip is 40 ms
		synctest.Test(t, func(t *testing.T) {
			defer func() { <-time.After(5 * time.Minute) }()
			w := &world{t: t, net: simnet.New(uint64(i))}
			a, b := w.node("a"), w.node("b")
			var wait sync.WaitGroup
			dial := func(from, to *node, after time.Duration, lane uint64) {
				<-time.After(after)
				s, err := from.Dial(context.Background(), to.LocalID(), to.addr)
				if err != nil {
					t.Errorf("skew %v: %v", skew, err)
					return
				}
				for k := range blocks {
					if err := s.Send(context.Background(), lane, []byte(fmt.Sprint(k))); err != nil {
						t.Errorf("skew %v: send: %v", skew, err)
					}
					<-time.After(3 * time.Millisecond)
				}
			}
			wait.Go(func() { dial(a, b, max(0, -skew), 1) })
			wait.Go(func() { dial(b, a, max(0, skew), 2) })
			wait.Wait()
			for _, n := range []*node{a, b} {
				n.await("blocks missing", func() bool { return len(n.blocks) >= blocks })
			}
			<-time.After(time.Minute)
			sa, sb := a.session(b), b.session(a)
			if sa.ID() != sb.ID() {
				t.Errorf("skew %v: ids %s and %s", skew, sa.ID(), sb.ID())
			}
			for _, n := range []*node{a, b} {
				if len(n.ups) != 1 || len(n.downs) != 0 {
					t.Errorf("skew %v: %d up, %d down (%v), want one session that lives", skew, len(n.ups), len(n.downs), n.downs)
				}
				if got := n.received(); len(got) != blocks {
					t.Errorf("skew %v: %d blocks, want %d", skew, len(got), blocks)
				}
				for k, got := range n.received() {
					if got != fmt.Sprint(k) {
						t.Fatalf("skew %v: block %d is %q", skew, k, got)
					}
				}
			}
			if n := a.Links(b.LocalID()); n != 1 {
				t.Errorf("skew %v: %d connections remain, want 1", skew, n)
			}
			_ = a.Close()
			_ = b.Close()
		})
	}
}

// A process that restarts with the same key begins a new session; the other side is told that the old
// one is over before the new one comes up (R28).
func TestRestartSupersedes(t *testing.T) { // SE11
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		a.dial(b)
		old := b.session(a)
		w.net.SetLink(addrOf("a").Addr(), func(up, down *simnet.Link) { up.Down = true }) // it dies without a word
		_ = a.Close()
		a2 := w.node("a")
		a2.dial(b)
		b.await("no second session", func() bool { return len(b.ups) == 2 })
		<-old.Done()
		wantCode(t, old.Err(), socket.Superseded)
		if s, ok := b.Session(a2.LocalID()); !ok || s == old {
			t.Error("the old session is still the current one")
		}
		if len(b.downs) != 1 {
			t.Errorf("%d downs", len(b.downs))
		}
	})
}

// C6, C7, C9: a peer that falls silent is down after the idle timeout; its session is kept for the retention,
// and then over with a timeout.
func TestSilentPeerTimesOut(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		a.dial(b)
		<-time.After(time.Hour) // keep-alives hold it
		s := a.session(b)
		if err := s.Err(); err != nil {
			t.Fatalf("an idle session died: %v", err)
		}
		w.net.SetLink(addrOf("b").Addr(), func(up, down *simnet.Link) { up.Down, down.Down = true, true })
		start := time.Now()
		var down time.Duration
		a.Observe(func(e socket.Event) {
			if e.Kind == socket.Down {
				down = time.Since(start)
				wantCode(t, e.Cause, socket.Timeout)
			}
		})
		<-s.Done()
		wantCode(t, s.Err(), socket.Timeout)
		if down < 20*time.Second || down > 40*time.Second {
			t.Errorf("down after %v, want about the idle timeout of 30 s", down)
		}
		if took := time.Since(start) - down; took < 24*time.Hour || took > 24*time.Hour+time.Second {
			t.Errorf("over %v after that, want the retention of 24 h", took)
		}
	})
}

// R28, C9: a peer that was killed and is back is noticed with the first packet sent to it, by a stateless reset,
// long before the idle timeout; asked to go on with the session, it says that it knows nothing of it.
func TestRestartIsNoticed(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		a.dial(b)
		s := b.session(a)
		w.net.SetLink(addrOf("a").Addr(), func(up, _ *simnet.Link) { up.Down = true }) // it dies without a word
		_ = a.Close()
		w.net.SetLink(addrOf("a").Addr(), func(up, _ *simnet.Link) { up.Down = false })
		w.node("a") // and does not dial
		start := time.Now()
		if err := s.Send(context.Background(), 0, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		<-s.Done()
		wantCode(t, s.Err(), socket.StateLost)
		if took := time.Since(start); took > 3*rtt {
			t.Errorf("took %v, want at most three round trips of %v: a reset, TLS, Hello", took, rtt)
		}
	})
}
