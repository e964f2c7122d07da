package socket_test

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"parley/internal/simnet"
	"parley/socket"
	"parley/wire"
)

// A dial that fails leaves nothing behind.
func TestFailedDialLeavesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		a, c := w.node("a"), w.node("c")
		for range 10 {
			_, err := a.Dial(context.Background(), testKey("b").ID(), c.addr)
			wantCode(t, err, socket.Authentication)
		}
		<-time.After(time.Minute)
		if n := a.Held(); n != 0 {
			t.Errorf("%d sessions are still held", n)
		}
	})
}

// A large block is handed up in its place even if it overtakes what was sent before it on its lane.
func TestLargeBlockWaitsForItsLane(t *testing.T) { // BL3
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		c, err := x.dial(b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		hello(t, c, nil)
		pre, err := wire.Preamble{Kind: wire.StreamBlock, Stream: 1, Lane: 3, Number: 1, Length: 100_000}.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		st := raw(t, c, append(pre, make([]byte, 100_000)...))
		_ = st.Close()
		<-time.After(time.Second)
		if n := len(b.received()); n != 0 {
			t.Fatalf("%d blocks came before their turn", n)
		}
		raw(t, c, []byte{byte(wire.StreamLane), 3, 0, 1, 'x'})
		b.await("blocks missing", func() bool { return len(b.blocks) == 2 })
		if b.received()[0] != "x" {
			t.Error("wrong order")
		}
	})
}

// Threat T14: lengths that a peer only claims cost no memory, and lengths above the maximum nothing at all.
func TestClaimedLengthsCostNothing(t *testing.T) { // BL4, CN7
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		c, err := x.dial(b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		_, frames := hello(t, c, nil)
		next(t, frames)
		b.await("no session", func() bool { return len(b.ups) == 1 })
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		const claims = 80
		for i := range claims {
			length := uint64(16 << 20)
			if i%2 == 1 {
				length = 1 << 30
			}
			pre, err := wire.Preamble{Kind: wire.StreamBlock, Stream: uint64(i + 1), Length: length}.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			raw(t, c, pre)
		}
		refused := 0
		for refused < claims/2 {
			f := next(t, frames)
			for _, n := range f.GetAck().GetStreams() {
				if n.GetStream()%2 != 0 || n.GetStop() != 1+2 || !n.GetYours() {
					t.Fatalf("said %v, want a refusal of blocks of 1 GiB as too large", n)
				}
				refused++
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > claims/2*(96<<10) {
			t.Errorf("%d bytes for claims alone", grown)
		}
	})
}

// Threat T14: what one peer has in large blocks under way is bounded, and a refusal says Limit.
func TestLargeBlockMemoryIsBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		small := func(c *socket.Config) { c.MaxBlock, c.MaxBlockMemory = 1<<20, 4<<20 } // a peer may take one MiB
		b, x := w.node("b", small), w.stranger("x")
		c, err := x.dial(b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		_, frames := hello(t, c, nil)
		next(t, frames)
		pre, err := wire.Preamble{Kind: wire.StreamBlock, Stream: 1, Length: 1 << 20}.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		first := raw(t, c, append(pre, make([]byte, 900<<10)...)) // and no more: it is held
		<-time.After(time.Second)
		pre, err = wire.Preamble{Kind: wire.StreamBlock, Stream: 2, Length: 1 << 20}.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		raw(t, c, append(pre, make([]byte, 200<<10)...))
		var said *wire.StreamCount
		for said == nil {
			for _, n := range next(t, frames).GetAck().GetStreams() {
				if n.GetStream() == 2 {
					said = n
				}
			}
		}
		if said.GetStop() != 1+3 || !said.GetDone() {
			t.Errorf("said %v, want a refusal for lack of memory", said)
		}
		if _, err := first.Write(make([]byte, 124<<10)); err != nil {
			t.Fatal(err)
		}
		_ = first.Close()
		b.await("the first block never came", func() bool { return len(b.blocks) == 1 })
		synctest.Wait() // it is released when the block has been handed up
		if n := b.LargeMemory(); n != 0 {
			t.Errorf("%d bytes are still reserved", n)
		}
	})
}

// C13: a host holds no more sessions than it was told to, and says which limit that was.
func TestMaxSessions(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node("a", func(c *socket.Config) { c.MaxSessions = 2 })
		for i := range 3 {
			n := w.node(fmt.Sprint("n", i))
			_, err := n.Dial(context.Background(), a.LocalID(), a.addr)
			if i < 2 && err != nil {
				t.Fatal(err)
			}
			if i == 2 {
				wantCode(t, err, socket.Limit)
				_, err = a.Dial(context.Background(), n.LocalID(), n.addr)
				wantCode(t, err, socket.Limit)
				if !strings.Contains(err.Error(), "Config.MaxSessions") {
					t.Errorf("unhelpful: %v", err)
				}
			}
		}
	})
}

// Threats T5, T6: handshakes that are begun and not finished are bounded per network, and those from
// elsewhere still get through.
func TestHalfOpenFlood(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.node("b")
		at := netip.AddrPortFrom(netip.MustParseAddr("203.0.113.5"), 4000)
		w.net.AddHost(at.Addr(), simnet.Link{Delay: oneWay}, nil)
		pc, err := w.net.Listen(at)
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		x := &stranger{w: w, tr: &quic.Transport{Conn: pc}}
		defer x.tr.Close()
		var refused atomic.Int32
		var wait sync.WaitGroup
		for range 100 { // complete TLS, and say nothing
			wait.Go(func() {
				if c, err := x.dial(b, x.certificate("x")); err != nil || c.Context().Err() != nil {
					refused.Add(1)
				}
			})
		}
		wait.Wait()
		if n := refused.Load(); n < 60 {
			t.Errorf("%d of 100 refused, want all above 32", n)
		}
		w.node("a").dial(b)
		<-time.After(time.Minute)
		if _, err := x.dial(b, x.certificate("x")); err != nil {
			t.Errorf("still refused after the others timed out: %v", err)
		}
	})
}

// Config errors name the field.
func TestConfigErrors(t *testing.T) {
	for field, c := range map[string]socket.Config{
		"Key":         {},
		"Lanes":       {Key: testKey("a"), Lanes: 65},
		"MaxBlock":    {Key: testKey("a"), MaxBlock: 1},
		"IdleTimeout": {Key: testKey("a"), IdleTimeout: time.Millisecond},
	} {
		if _, err := socket.Listen(c); err == nil || !strings.Contains(err.Error(), "Config."+field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// Sessions that are up do not count as handshakes under way.
func TestManySessionsFromOneNetwork(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.node("b")
		for i := range 40 {
			at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 1)
			w.nodeAt(fmt.Sprint("n", i), at).dial(b)
		}
	})
}

// RFC 8305: an address that nobody answers at delays the next by a head start only.
func TestHeadStart(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		start := time.Now()
		if _, err := a.DialAll(b.LocalID(), "203.0.113.9:1", "203.0.113.10:1", b.addr); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 500*time.Millisecond || took > 700*time.Millisecond {
			t.Errorf("took %v, want two head starts of 250 ms and the handshake", took)
		}
	})
}

// A sender uses no more lanes than the peer takes.
func TestLanesOfThePeer(t *testing.T) {
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		c, err := x.dial(b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		hello(t, c, func(h *wire.Hello) { h.Lanes = 2 })
		b.await("no session", func() bool { return len(b.ups) == 1 })
		for i := range uint64(10) {
			if err := b.Send(context.Background(), x.id, 0, i, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			st, err := c.AcceptStream(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			p, err := wire.ReadPreamble(bufio.NewReader(st))
			if err != nil || p.Kind != wire.StreamLane || p.Lane > 1 {
				t.Errorf("got %+v, %v", p, err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := c.AcceptStream(ctx); err == nil {
			t.Error("a third lane was opened")
		}
	})
}
