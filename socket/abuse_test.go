package socket_test

import (
	"bufio"
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/socket"
	"parley/wire"
)

// listen has the stranger accept connections; act is called with each after its Hello has been read. If it is nil,
// nothing is read.
func (x *stranger) listen(name string, conf *quic.Config, act func(c *quic.Conn, control *quic.Stream, h *wire.Hello)) {
	x.w.t.Helper()
	ln, err := x.tr.Listen(tlsConf(x, name), conf)
	if err != nil {
		x.w.t.Fatal(err)
	}
	x.w.t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept(context.Background())
			if err != nil {
				return
			}
			go func() {
				st, err := c.AcceptStream(context.Background())
				if err != nil {
					return
				}
				if act == nil { // it reads nothing
					return
				}
				r := bufio.NewReader(st)
				if _, err := wire.ReadPreamble(r); err != nil {
					return
				}
				f, err := wire.ReadControl(r)
				if err != nil || f.GetHello() == nil {
					return
				}
				act(c, st, f.GetHello())
			}()
		}
	}()
}

// A peer that pretends to know of a session with the highest number does not take the numbers from sessions
// with other peers.
func TestOutdatedHarmsNobodyElse(t *testing.T) { // SE9
	inWorld(t, func(w *world) {
		a, b, x := w.node("a"), w.node("b"), w.stranger("x")
		x.listen("x", &quic.Config{InitialPacketSize: 1200, EnableDatagrams: true}, func(_ *quic.Conn, control *quic.Stream, _ *wire.Hello) {
			frame(t, control, &wire.Control{Kind: &wire.ControlOutdated{Outdated: &wire.Outdated{Incarnation: 1 << 63}}})
			_ = control.Close()
		})
		if _, err := a.Dial(context.Background(), x.id, addrOf("x").String()); err == nil {
			t.Fatal("a session")
		}
		s, err := a.Dial(context.Background(), b.LocalID(), b.addr)
		if err != nil {
			t.Fatalf("a session with another: %v", err)
		}
		if now := uint64(time.Now().UnixMicro()); s.Incarnation() > 2*now {
			t.Errorf("incarnation %d, while the clock says %d", s.Incarnation(), now)
		}
	})
}

// Many calls of Dial while the session is down do not keep it from connecting again.
func TestManyDialsWhileDown(t *testing.T) { // C8
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		a.dial(b)
		w.cut(a, b, true)
		if err := a.Send(context.Background(), b.LocalID(), 0, 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
		events := a.history()
		<-time.After(20 * time.Second)
		w.cut(a, b, false)
		var wait sync.WaitGroup
		for range 2000 { // one every 3 ms, a fraction of a round trip
			<-time.After(3 * time.Millisecond)
			wait.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_, _ = a.Dial(ctx, b.LocalID(), b.addr)
			})
		}
		if kinds := events.kinds(); len(kinds) == 0 || kinds[len(kinds)-1] != socket.Up {
			t.Errorf("after 6 s of a path that works: events %v", kinds)
		}
		wait.Wait()
	})
}

// A pool is filled in seconds, not with the pauses of attempts that fail.
func TestPoolFillsSoon(t *testing.T) { // SE10
	inWorld(t, func(w *world) {
		many := func(c *socket.Config) { c.Connections = 12 }
		a, b := w.node("a", many), w.node("b", many)
		a.dial(b)
		<-time.After(10 * time.Second)
		if n := a.Links(b.LocalID()); n != 12 {
			t.Errorf("%d connections after 10 s, want 12", n)
		}
	})
}

// As many streams as the peer allows do not keep blocks from being sent.
func TestStreamsLeaveRoomForLanes(t *testing.T) { // B3, B8
	for _, few := range []bool{false, true} {
		inWorld(t, func(w *world) {
			a := w.node("a", func(c *socket.Config) { c.MaxStreams = 256 })
			b := w.node("b", func(c *socket.Config) {
				c.MaxStreams = 256
				if few {
					c.MaxStreams = 128
				}
			})
			s := a.dial(b)
			for range 256 {
				if _, err := s.OpenStream(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(time.Second)
			if err := s.Send(context.Background(), 0, []byte("x")); err != nil {
				t.Fatal(err)
			}
			<-time.After(5 * time.Second)
			if len(b.received()) != 1 {
				t.Errorf("few %v: the block has not come", few)
			}
		})
	}
}

// A peer that loses the state of every session it makes is not dialled without pause.
func TestRenewIsPaced(t *testing.T) { // C8
	inWorld(t, func(w *world) {
		a, x := w.node("a"), w.stranger("x")
		var mu sync.Mutex
		times := 0
		x.listen("x", &quic.Config{InitialPacketSize: 1200, EnableDatagrams: true}, func(c *quic.Conn, control *quic.Stream, h *wire.Hello) {
			mu.Lock()
			times++
			n := times
			mu.Unlock()
			b, _ := wire.AppendControl(nil, &wire.Control{Kind: &wire.ControlAccept{Accept: &wire.Accept{
				Version: wire.Version, Incarnation: uint64(n), PeerIncarnation: h.GetIncarnation(), Lanes: 8, MaxBlock: 1 << 20,
			}}})
			_, _ = control.Write(b)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-c.Context().Done():
			}
			_ = c.CloseWithError(11, "")
		})
		if _, err := a.Dial(context.Background(), x.id, addrOf("x").String()); err != nil {
			t.Fatal(err)
		}
		<-time.After(30 * time.Second)
		_ = a.Close()
		mu.Lock()
		defer mu.Unlock()
		if times > 40 || times < 2 {
			t.Errorf("dialled %d times in 30 s", times)
		}
	})
}

// Threat T15: a stream whose preamble does not come costs its connection, not the session: an honest peer's may
// be held up by an outage.
func TestLatePreamble(t *testing.T) {
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		c, err := x.dial(b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		hello(t, c, nil)
		b.await("no session", func() bool { return len(b.ups) == 1 })
		raw(t, c, []byte{byte(wire.StreamLane)})
		if got := fate(c, nil); got != 8 {
			t.Errorf("closed with %d, want 8", got)
		}
		if len(b.downs) != 0 {
			t.Errorf("the session ended: %v", b.downs)
		}
	})
}

// A host that shuts down takes the connections its sessions need to deliver the rest.
func TestShutdownResumes(t *testing.T) { // C5, R29
	for i := range 8 {
		shutdownResumes(t, 20*time.Second+time.Duration(i)*300*time.Millisecond)
	}
}

func shutdownResumes(t *testing.T, outage time.Duration) {
	t.Helper()
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		a.dial(b)
		w.cut(a, b, true)
		for i := range 10 {
			if err := b.Send(context.Background(), a.LocalID(), 0, 0, fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			done <- b.Shutdown(ctx)
		}()
		if err := a.Send(context.Background(), b.LocalID(), 0, 0, []byte("y")); err != nil { // both dial
			t.Fatal(err)
		}
		<-time.After(outage)
		w.cut(a, b, false)
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		a.inOrder(10)
	})
}

// SendTimeout also bounds a send that waits for the host's budget.
func TestSendTimeoutOfBudget(t *testing.T) { // C14, T9
	inWorld(t, func(w *world) {
		a, b := w.node("a", func(c *socket.Config) { c.MaxReplay = 1 << 20; c.SendTimeout = 2 * time.Second }), w.node("b")
		s := a.dial(b)
		w.cut(a, b, true)
		start := time.Now()
		for {
			err := s.Send(context.Background(), uint64(start.Second()), make([]byte, 60_000))
			if err != nil {
				wantCode(t, err, socket.Timeout)
				break
			}
			start = time.Now()
		}
		for lane := range uint64(8) {
			start := time.Now()
			if err := s.Send(context.Background(), lane, make([]byte, 60_000)); err == nil {
				continue
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("lane %d: gave up after %v", lane, took)
			}
		}
	})
}

// The function for blocks may end streams: neither waits for the other.
func TestBlockFunctionResetsStream(t *testing.T) {
	watchdog(t)
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.unattached("b")
		streams := make(chan *socket.Stream, 10)
		handed := make(chan struct{}, 10)
		b.Attach(func(id, uint64, uint64) {}, func(id, uint64, []byte) {
			select {
			case st := <-streams:
				st.Reset(1)
			default:
			}
			handed <- struct{}{}
		}, func(id, uint64, error) {})
		s := a.dial(b)
		<-time.After(time.Second)
		back, _ := b.Session(a.LocalID())
		st, err := back.OpenStream(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 { // the first is still to be acknowledged when the second comes
			if i == 1 {
				streams <- st
			}
			if err := s.Send(context.Background(), 0, []byte("x")); err != nil {
				t.Fatal(err)
			}
			select {
			case <-handed:
			case <-time.After(time.Minute):
				t.Fatal("stuck")
			}
		}
		_ = a.Close()
		_ = b.Host.Close()
	})
}

// A large block whose stream ends early ends the session with a cause of this package's own.
func TestShortLargeBlock(t *testing.T) { // CN6
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		c, err := x.dial(b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		hello(t, c, nil)
		b.await("no session", func() bool { return len(b.ups) == 1 })
		head, err := wire.Preamble{Kind: wire.StreamBlock, Stream: 1, Length: 100_000}.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = raw(t, c, append(head, 1, 2, 3)).Close()
		b.await("no down", func() bool { return len(b.downs) == 1 })
		wantCode(t, b.downs[0], socket.Protocol)
		if !typed(b.downs[0]) {
			t.Errorf("cause %T", b.downs[0])
		}
	})
}

// T14: a peer that begins a block on a thousand streams of lanes does not have each of them take memory for it, and its
// session goes on when it ends them.
func TestManyHalfBlocks(t *testing.T) {
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		c, err := x.dial(b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		hello(t, c, nil)
		b.await("no session", func() bool { return len(b.ups) == 1 })
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range 1000 {
			raw(t, c, []byte{byte(wire.StreamLane), byte(i % 64), 0, 0x80, 0x80, 0x04, 1}) // 64 KiB, of which one byte comes
		}
		<-time.After(5 * time.Second)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 40<<20 {
			t.Errorf("%d MiB for a thousand bytes", grown>>20)
		}
		_ = c.CloseWithError(1, "")
	})
}
