package socket_test

import (
	"context"
	"fmt"
	"testing"

	"parley/socket"
)

// C3, B1: a dialled session carries blocks both ways and has one id.
func TestBlocksBothWays(t *testing.T) { // BL1
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		sa := a.dial(b)
		sb := b.session(a)
		if sa.ID() == "" || sa.ID() != sb.ID() {
			t.Errorf("session ids %q and %q", sa.ID(), sb.ID())
		}
		if sa.State() != socket.StateEstablished || sb.State() != socket.StateEstablished {
			t.Errorf("states %v and %v", sa.State(), sb.State())
		}
		const n = 100
		for i := range n {
			for _, s := range []*socket.Session{sa, sb} {
				if err := s.Send(context.Background(), 5, []byte(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, x := range []*node{a, b} {
			x.await("blocks missing", func() bool { return len(x.blocks) == n })
			for i, got := range x.received() {
				if got != fmt.Sprint(i) {
					t.Fatalf("block %d is %q", i, got)
				}
			}
		}
	})
}

// C5: Close delivers what was accepted, on both sides, and both learn that it was graceful.
func TestGracefulClose(t *testing.T) { // SE4
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		sa := a.dial(b)
		sb := b.session(a)
		const n = 500
		for i := range n {
			if err := sa.Send(context.Background(), uint64(i), make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			if err := sb.Send(context.Background(), uint64(i), make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
		}
		if err := sa.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		<-sb.Done()
		for _, x := range []*node{a, b} {
			if got := len(x.received()); got != n {
				t.Errorf("%d of %d blocks delivered before a graceful close", got, n)
			}
			x.await("no down", func() bool { return len(x.downs) == 1 })
			wantCode(t, x.downs[0], socket.Closed)
		}
		wantCode(t, sa.Send(context.Background(), 0, nil), socket.Closed)
		wantCode(t, sb.Send(context.Background(), 0, nil), socket.Closed)
		if _, ok := a.Session(b.LocalID()); ok {
			t.Error("the session is still listed")
		}
	})
}
