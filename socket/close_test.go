package socket_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"runtime"
	"sync/atomic"

	"parley/internal/simnet"
	"parley/socket"
)

// C5 x C2: two honest hosts dial each other at the same time, one sends and closes. No loss, no jitter.
// Close must deliver; above all it must not return nil if it did not.
func TestCloseDuringMerge(t *testing.T) { // SE15
	watchdog(t)
	failed, lied := 0, 0
	const blocks, skews = 300, 80
	for i := range skews {
		skew := time.Duration(i-skews/2) * time.Millisecond
		for _, closer := range []string{"a", "b"} {
			synctest.Test(t, func(t *testing.T) {
				defer func() { <-time.After(5 * time.Minute) }()
				w := &world{t: t, net: simnet.New(uint64(i))}
				a, b := w.node("a"), w.node("b")
				for _, n := range []string{"a", "b"} {
					w.net.SetLink(addrOf(n).Addr(), func(up, down *simnet.Link) { up.Jitter, down.Jitter = 5*time.Millisecond, 5*time.Millisecond })
				}
				var wait sync.WaitGroup
				run := func(from, to *node, after time.Duration, closes bool) {
					<-time.After(after)
					s, err := from.Dial(context.Background(), to.LocalID(), to.addr)
					if err != nil {
						return
					}
					sent := 0
					for k := range blocks {
						if s.Send(context.Background(), 1, []byte(fmt.Sprint(k))) == nil {
							sent++
						}
					}
					if !closes {
						return
					}
					err = s.Close(context.Background())
					switch got := len(to.received()); {
					case err == nil && got < sent:
						lied++
						t.Logf("skew %v, %s: Close was nil, but %d of %d blocks were delivered; the peer: %v", skew, closer, got, sent, to.downs)
					case err != nil:
						failed++
						t.Logf("skew %v, %s: Close: %v; %d of %d; the peer: %v", skew, closer, err, got, sent, to.downs)
					}
				}
				wait.Go(func() { run(a, b, max(0, -skew), closer == "a") })
				wait.Go(func() { run(b, a, max(0, skew), closer == "b") })
				wait.Wait()
				<-time.After(time.Minute)
				_ = a.Close()
				_ = b.Close()
			})
		}
	}
	if failed+lied > 0 {
		t.Errorf("of %d closes on a perfect network %d failed and %d lied", 2*skews, failed, lied)
	}
}

// C5: "everything accepted before is delivered … It waits until ctx ends". The peer has a large block
// under way that takes 20 s.
func TestCloseWaitsForThePeersBlocks(t *testing.T) {
	watchdog(t)
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		sa := a.dial(b)
		sb := b.session(a)
		w.net.SetLink(addrOf("b").Addr(), func(up, _ *simnet.Link) { up.Rate, up.Queue = 2e6, 50_000 })
		sent := make(chan error, 1)
		go func() { sent <- sb.Send(context.Background(), 0, make([]byte, 4<<20)) }()
		<-time.After(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		start := time.Now()
		if err := sa.Close(ctx); err != nil {
			t.Errorf("Close with 2 minutes to go failed after %v: %v", time.Since(start), err)
		}
		if err := <-sent; err != nil {
			t.Errorf("the peer's block, accepted before: %v", err)
		}
	})
}

// A host shuts down gracefully and its very last packets are lost. Everything was delivered and both sides
// had said so, so the other side's session ended gracefully; and the restarted host can dial at once.
func TestLastWordLost(t *testing.T) { // SE4
	watchdog(t)
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		s := a.dial(b)
		sb := b.session(a)
		if err := s.Send(context.Background(), 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		go func() {
			<-time.After(60 * time.Millisecond) // a's Close has arrived at b (it needs 20 ms after a flush of 40), b's Closed is on its way
			w.net.SetLink(addrOf("a").Addr(), func(up, _ *simnet.Link) { up.Down = true })
		}()
		if err := a.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		w.net.SetLink(addrOf("a").Addr(), func(up, _ *simnet.Link) { up.Down = false })
		a2 := w.node("a")
		if _, err := a2.Dial(context.Background(), b.LocalID(), b.addr); err != nil {
			t.Errorf("the restarted host cannot dial: %v", err)
		}
		<-sb.Done()
		wantCode(t, sb.Err(), socket.Closed)
	})
}

// C5: a lane that is first used in the instant of Close is flushed like any other, or its Send fails; Close
// does not wait for it in vain.
func TestCloseRacesWithNewLanes(t *testing.T) {
	watchdog(t)
	for range 150 {
		inWorld(t, func(w *world) {
			a, b := w.node("a", func(c *socket.Config) { c.Lanes = 64 }), w.node("b")
			s := a.dial(b)
			var accepted atomic.Int64
			var wait sync.WaitGroup
			for g := range uint64(4) {
				wait.Go(func() {
					for lane := range uint64(16) {
						if s.Send(context.Background(), g*16+lane, []byte("x")) == nil {
							accepted.Add(1)
						}
						runtime.Gosched()
					}
				})
			}
			runtime.Gosched()
			if err := s.Close(context.Background()); err != nil {
				t.Errorf("Close: %v", err)
			}
			wait.Wait()
			if got := len(b.received()); int64(got) != accepted.Load() {
				t.Errorf("%d blocks delivered of %d accepted", got, accepted.Load())
			}
		})
	}
}
