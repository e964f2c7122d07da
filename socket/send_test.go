package socket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
	"parley/peer"
	"parley/socket"
	"parley/wire"
)

// B1, B2: blocks over 64 KiB arrive whole, after the blocks sent before them on their lane, and Send
// returns when they have.
func TestLargeBlocksKeepTheirPlace(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		s := a.dial(b)
		big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
		var want []string
		for i := range 5 {
			small := fmt.Sprint("small ", i)
			for _, block := range [][]byte{[]byte(small), big[:wire.MaxLaneBlock], big[:wire.MaxLaneBlock+1+i], big} {
				want = append(want, string(block))
				if err := s.Send(context.Background(), 3, block); err != nil {
					t.Fatal(err)
				}
				if len(block) > wire.MaxLaneBlock && len(b.received()) != len(want) {
					t.Fatalf("Send of a large block returned before it had arrived")
				}
			}
		}
		got := b.received()
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("block %d: %d bytes, want %d", i, len(got[i]), len(want[i]))
			}
		}
	})
}

// C15: a block above the peer's maximum is refused on this side and the session lives on.
func TestTooLarge(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b", func(c *socket.Config) { c.MaxBlock = 100_000 })
		s := a.dial(b)
		wantCode(t, s.Send(context.Background(), 0, make([]byte, 100_001)), socket.TooLarge)
		if err := s.Send(context.Background(), 0, make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
	})
}

// B2: small best-effort blocks are datagrams and may be lost; those that do not fit are promoted and
// are not.
func TestBestEffort(t *testing.T) { // BL5
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		s := a.dial(b)
		w.net.SetLink(addrOf("a").Addr(), func(up, _ *simnet.Link) { up.Loss = 0.3 })
		const n = 50
		for range n {
			for _, size := range []int{10, 5000} {
				if err := s.SendBestEffort(context.Background(), 0, make([]byte, size)); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(50 * time.Millisecond)
		}
		<-time.After(time.Minute)
		small, large := 0, 0
		for _, block := range b.received() {
			if len(block) == 10 {
				small++
			} else {
				large++
			}
		}
		if large != n {
			t.Errorf("%d of %d promoted blocks arrived", large, n)
		}
		if small == 0 || small == n {
			t.Errorf("%d of %d datagrams arrived at 30 %% loss", small, n)
		}
	})
}

// B3: while one lane waits for a lost packet, blocks on the others go on.
func TestLanesDoNotWaitForEachOther(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		s := a.dial(b)
		ctx := context.Background()
		for lane := range uint64(2) { // open both lanes
			if err := s.Send(ctx, lane, []byte("warm")); err != nil {
				t.Fatal(err)
			}
		}
		b.await("no warm-up", func() bool { return len(b.blocks) == 2 })
		w.net.SetLink(addrOf("a").Addr(), func(up, _ *simnet.Link) { up.Down = true })
		_ = s.Send(ctx, 0, []byte("lost"))
		synctest.Wait()
		w.net.SetLink(addrOf("a").Addr(), func(up, _ *simnet.Link) { up.Down = false })
		_ = s.Send(ctx, 1, []byte("later"))
		b.await("blocks missing", func() bool { return len(b.blocks) == 4 })
		if got := b.received()[2]; got != "later" {
			t.Errorf("%q came first: the other lane's loss held it up", got)
		}
	})
}

// C14, threat T12: a sender is blocked, not fed memory, when the peer does not take blocks; its context
// or the send timeout frees it.
func TestSendBlocksWhenFull(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a", func(c *socket.Config) { c.SendTimeout = 3 * time.Second }), w.node("b")
		s := a.dial(b)
		w.net.SetLink(addrOf("b").Addr(), func(up, down *simnet.Link) { up.Down, down.Down = true, true })
		sent, start := 0, time.Time{}
		var err error
		for err == nil && sent < 10_000 {
			start = time.Now()
			err = s.Send(context.Background(), 0, make([]byte, 10_000))
			sent++
		}
		wantCode(t, err, socket.Timeout)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		if sent*10_000 > 2<<20 {
			t.Errorf("%d bytes were accepted for a peer that takes none", sent*10_000)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		wantCode(t, s.Send(ctx, 0, make([]byte, 10_000)), socket.Timeout)
	})
}

// C5: Close says so when it could not deliver, and does not hang.
func TestCloseReportsUndelivered(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		s := a.dial(b)
		w.net.SetLink(addrOf("b").Addr(), func(up, down *simnet.Link) { up.Down, down.Down = true, true })
		if err := s.Send(context.Background(), 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		err := s.Close(ctx)
		wantCode(t, err, socket.Timeout)
		if s.State() != socket.StateClosed {
			t.Errorf("state %v", s.State())
		}
	})
}

// Blocks that arrive before Attach wait, and up comes first.
func TestAttachLate(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.unattached("b")
		s := a.dial(b)
		for i := range 10 {
			if err := s.Send(context.Background(), 0, []byte(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Second)
		b.attach()
		b.await("blocks missing", func() bool { return len(b.blocks) == 10 && len(b.ups) == 1 })
	})
}

// The transport face finds sessions by key and incarnation.
func TestHostSend(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		ctx := context.Background()
		wantCode(t, a.Send(ctx, b.LocalID(), 0, 0, nil), socket.NotFound)
		s := a.dial(b)
		wantCode(t, a.Send(ctx, b.LocalID(), s.Incarnation()+1, 0, nil), socket.NotFound)
		wantCode(t, a.SendBestEffort(ctx, peer.ID{1}, 0, 0, nil), socket.NotFound)
		for _, session := range []uint64{0, s.Incarnation()} {
			if err := a.Send(ctx, b.LocalID(), session, 0, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		b.await("blocks missing", func() bool { return len(b.blocks) == 2 })
	})
}

// C13: a graceful shutdown delivers to every peer; events tell of all sessions.
func TestShutdown(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node("a")
		var peers []*node
		events := make(chan socket.Event, 20)
		stop := a.Observe(func(e socket.Event) { events <- e })
		for _, name := range []string{"b", "c", "d"} {
			n := w.node(name)
			s := a.dial(n)
			if err := s.Send(context.Background(), 0, []byte(name)); err != nil {
				t.Fatal(err)
			}
			peers = append(peers, n)
		}
		count := 0
		for range a.Sessions() {
			count++
		}
		if count != 3 {
			t.Errorf("%d sessions listed", count)
		}
		if err := a.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, n := range peers {
			n.await("block missing", func() bool { return len(n.blocks) == 1 && len(n.downs) == 1 })
		}
		seen := map[socket.EventKind]int{}
		for len(events) > 0 {
			seen[(<-events).Kind]++
		}
		if seen[socket.Up] != 3 || seen[socket.Closing] != 3 || seen[socket.Over] != 3 || len(seen) != 3 {
			t.Errorf("events: %v", seen)
		}
		stop()
		_, err := a.Dial(context.Background(), peers[0].LocalID(), peers[0].addr)
		wantCode(t, err, socket.Closed)
		if _, ok := errors.AsType[*socket.Error](err); !ok {
			t.Errorf("%T", err)
		}
	})
}
