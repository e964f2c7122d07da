package socket_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/peer"
	"parley/socket"
	"parley/wire"
)

// T14, T15: large blocks whose turn never comes hold the host's whole budget for ever, and honest peers'
// large blocks are refused.
func TestFutureBlocksHoldBudget(t *testing.T) { // BL10
	watchdog(t)
	inWorld(t, func(w *world) {
		b := w.node("b", func(c *socket.Config) { c.MaxBlock, c.MaxBlockMemory = 1<<20, 4<<20 })
		for i := range 4 {
			name := fmt.Sprint("hostile", i)
			x := w.stranger(name)
			c, err := x.dial(b, x.certificate(name))
			if err != nil {
				t.Fatal(err)
			}
			hello(t, c, func(h *wire.Hello) {})
			pre, _ := wire.Preamble{Kind: wire.StreamBlock, Stream: 1, Number: 1 << 60, Length: 1 << 20}.Append(nil)
			st := raw(t, c, append(pre, make([]byte, 1<<20)...))
			_ = st.Close()
			go func() { // a keep-alive
				for c.Context().Err() == nil {
					<-time.After(10 * time.Second)
					_ = c.SendDatagram([]byte{0})
				}
			}()
			w.t.Cleanup(func() { _ = c.CloseWithError(0, "") })
			defer c.CloseWithError(0, "")
		}
		<-time.After(time.Hour)
		if n := b.LargeMemory(); n != 0 {
			t.Errorf("after an hour %d bytes are still reserved for blocks whose turn never comes", n)
		}
		a := w.node("a")
		if err := a.dial(b).Send(context.Background(), 0, make([]byte, 100_000)); err != nil {
			t.Errorf("an honest peer's block: %v", err)
		}
	})
}

// stuffed is a session at b whose peer sends pings and never reads the pongs: the session's loop is stuck
// in writing one.
func stuffed(t *testing.T, w *world, b *node) *quic.Conn {
	x := w.stranger("x")
	c, err := x.dialWith(b, "x", &quic.Config{InitialPacketSize: 1200, EnableDatagrams: true, InitialStreamReceiveWindow: 100, MaxStreamReceiveWindow: 100})
	if err != nil {
		t.Fatal(err)
	}
	control, frames := hello(t, c, nil)
	next(t, frames)
	<-time.After(time.Second)
	go func() {
		var b []byte
		for i := range 2000 {
			b, _ = wire.AppendControl(b, &wire.Control{Kind: &wire.ControlPing{Ping: &wire.Ping{Nonce: uint64(i + 1), SendTime: 1 << 60}}})
		}
		_, _ = control.Write(b)
	}()
	<-time.After(200 * time.Millisecond)
	return c
}

// Host.Close "ends everything at once"; a peer that does not read its control stream delays it.
func TestPeerDelaysHostClose(t *testing.T) {
	watchdog(t)
	inWorld(t, func(w *world) {
		b := w.node("b")
		stuffed(t, w, b)
		start := time.Now()
		_ = b.Close()
		if took := time.Since(start); took > time.Second {
			t.Errorf("Host.Close took %v", took)
		}
	})
}

// Session.Close honours its context.
func TestPeerDelaysSessionClose(t *testing.T) {
	watchdog(t)
	inWorld(t, func(w *world) {
		b := w.node("b")
		stuffed(t, w, b)
		s, ok := b.Session(testKey("x").ID())
		if !ok {
			t.Fatal("no session")
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		_ = s.Close(ctx)
		if took := time.Since(start); took > time.Second {
			t.Errorf("Session.Close with a context of 100 ms took %v", took)
		}
	})
}

// Attach while a session is ending: its blocks are handed up without an up before.
func TestAttachToEndingSession(t *testing.T) {
	watchdog(t)
	inWorld(t, func(w *world) {
		b := w.unattached("b")
		c := stuffed(t, w, b)
		raw(t, c, []byte{byte(wire.StreamLane), 3, 0, 1, 'x'})
		<-time.After(100 * time.Millisecond)
		y := w.stranger("y")
		c2, err := y.dial(b, y.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		hello(t, c2, func(h *wire.Hello) { h.Incarnation = 8 }) // the old session is over, and its loop is stuck
		<-time.After(100 * time.Millisecond)
		b.attach()
		<-time.After(100 * time.Millisecond)
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.blocks) > 0 && len(b.ups) == 0 {
			t.Errorf("block %q of a session that never came up", b.blocks[0])
		}
	})
}

// Attach: "block is called concurrently for different lanes and in order within one".
func TestBlockIsSerialWithinALane(t *testing.T) {
	watchdog(t)
	inWorld(t, func(w *world) {
		b, x := w.unattached("b"), w.stranger("x")
		c, err := x.dial(b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		_, frames := hello(t, c, nil)
		next(t, frames)
		lane := []byte{byte(wire.StreamLane), 3, 0}
		for range 20 {
			lane = append(lane, 1, 'x')
			_ = c.SendDatagram([]byte{3, 'd'})
		}
		raw(t, c, lane)
		<-time.After(time.Second)
		var inside, worst atomic.Int32
		b.Attach(func(peer.ID, uint64, uint64) {}, func(peer.ID, uint64, []byte) { // everything here is of lane 3
			worst.Store(max(worst.Load(), inside.Add(1)))
			for range 1000 { // not a timer: whoever waits for a mutex holds up virtual time
				runtime.Gosched()
			}
			inside.Add(-1)
		}, func(peer.ID, uint64, error) {})
		<-time.After(time.Minute)
		if n := worst.Load(); n > 1 {
			t.Errorf("block was called %d times at once for one lane", n)
		}
	})
}
