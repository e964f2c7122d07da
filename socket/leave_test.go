package socket_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
	"parley/wire"
)

// A peer makes a second, better connection and closes it again: the session is left with a link on
// which it has forbidden itself to open streams. The next Send spins for ever and Close never returns.
func TestBetterLinkDies(t *testing.T) {
	watchdog(t)
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		worse, better := twoConns(t, x, b, "x")
		hello(t, worse, nil)
		b.await("no session", func() bool { return len(b.ups) == 1 })
		hello(t, better, nil)
		<-time.After(time.Second)
		_ = better.CloseWithError(0, "")
		<-time.After(time.Second)
		s, ok := b.Session(testKey("x").ID())
		if !ok {
			return // ending the session is a fine answer
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Send(ctx, 0, []byte("x"))
		_ = s.Close(ctx)
	})
}

// Graceful close while a lane is moving between connections: the old stream's confirmation is not
// waited for, so Close says "delivered" of a block that the peer has not read.
func TestCloseWaitsForMovedLanes(t *testing.T) {
	watchdog(t)
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		worse, better := twoConns(t, x, b, "x")
		hello(t, worse, nil)
		b.await("no session", func() bool { return len(b.ups) == 1 })
		s, _ := b.Session(testKey("x").ID())
		if err := s.Send(context.Background(), 0, []byte("precious")); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second) // it is on a stream of the worse connection, unread and unconfirmed
		control, frames := hello(t, better, nil)
		next(t, frames) // Accept
		<-time.After(time.Second)
		go func() { // the peer answers Close as soon as it comes
			for {
				f, err := wire.ReadControl(frames)
				if err != nil {
					return
				}
				if f.GetClose().GetReason() == 0 && f.GetClose() != nil {
					frame(t, control, &wire.Control{Kind: &wire.ControlClosed{Closed: &wire.Closed{}}})
					return
				}
			}
		}()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Close(ctx); err == nil {
			t.Error("Close returned nil, but the peer has neither read nor confirmed the block")
		}
	})
}

// B4: what was written to a Stream before Close is still delivered, also when two simultaneous dials
// merge meanwhile. Honest hosts, 10 % loss.
func TestStreamSurvivesMerge(t *testing.T) { // SE13, ST3
	watchdog(t)
	bad, total := 0, 0
	const size = 20_000
	for i := range 60 {
		skew := time.Duration(i-30) * 2 * time.Millisecond
		synctest.Test(t, func(t *testing.T) {
			defer func() { <-time.After(5 * time.Minute) }()
			w := &world{t: t, net: simnet.New(uint64(i))}
			a, b := w.node("a"), w.node("b")
			for _, n := range []string{"a", "b"} {
				w.net.SetLink(addrOf(n).Addr(), func(up, _ *simnet.Link) { up.Loss = 0.1 })
			}
			var wait sync.WaitGroup
			var mu sync.Mutex
			run := func(from, to *node, after time.Duration) {
				<-time.After(after)
				s, err := from.Dial(context.Background(), to.LocalID(), to.addr)
				if err != nil {
					t.Error(err)
					return
				}
				x, err := s.OpenStream(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				_, err = x.Write(make([]byte, size))
				if err == nil {
					err = x.Close()
				}
				if err != nil {
					t.Logf("skew %v: write or close: %v", skew, err)
					return
				}
				y, err := to.session(from).AcceptStream(ctx)
				mu.Lock()
				total++
				mu.Unlock()
				if err != nil {
					mu.Lock()
					bad++
					mu.Unlock()
					t.Logf("skew %v: accept: %v", skew, err)
					return
				}
				if got, err := io.ReadAll(y); err != nil || len(got) != size {
					mu.Lock()
					bad++
					mu.Unlock()
					t.Logf("skew %v: %d of %d bytes, then %v", skew, len(got), size, err)
				}
				_ = y.Close()
			}
			wait.Go(func() { run(a, b, max(0, -skew)) })
			wait.Go(func() { run(b, a, max(0, skew)) })
			wait.Wait()
			<-time.After(time.Minute)
			_ = a.Close()
			_ = b.Close()
		})
	}
	if bad > 0 {
		t.Errorf("%d of %d streams lost bytes that Close had promised to deliver", bad, total)
	}
}

// The worse connection, which has been left but not closed, takes over again when the better one dies.
func TestReturnToTheWorseLink(t *testing.T) {
	watchdog(t)
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		worse, better := twoConns(t, x, b, "x")
		hello(t, worse, nil)
		b.await("no session", func() bool { return len(b.ups) == 1 })
		s, _ := b.Session(testKey("x").ID())
		hello(t, better, nil)
		<-time.After(time.Second)
		_ = better.CloseWithError(1, "")
		<-time.After(time.Second)
		if err := s.Send(context.Background(), 0, []byte("again")); err != nil {
			t.Fatal(err)
		}
		if _, err := worse.AcceptStream(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}
