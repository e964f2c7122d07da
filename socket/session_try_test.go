package socket_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"parley/socket"
	"parley/wire"
)

// C13, B11: TrySend takes what the lane's buffer holds, in order with Send, then says WouldBlock at once and sends
// nothing of the block, and takes more when the peer has acknowledged.
func TestTrySend(t *testing.T) {
	inWorld(t, func(w *world) {
		const buffer = 256 << 10
		a, b := w.node("a", func(c *socket.Config) { c.LaneBuffer = buffer }), w.unattached("b")
		s := a.dial(b)
		start := time.Now()
		sent := 0
		var err error
		for err == nil {
			if err = s.TrySend(3, bytes.Repeat([]byte{byte(sent)}, 1000)); err == nil {
				sent++
			}
		}
		wantCode(t, err, socket.WouldBlock)
		if took := time.Since(start); took != 0 || sent < buffer/1000-5 || sent > buffer/1000 {
			t.Errorf("%d blocks after %v", sent, took)
		}
		var e *socket.Error
		if !errors.As(err, &e) || e.Peer != b.LocalID() {
			t.Errorf("the error is %#v", err)
		}
		if err := s.TrySend(4, []byte("on another lane")); err != nil {
			t.Errorf("another lane is full too: %v", err)
		}
		err = s.TrySend(5, make([]byte, wire.MaxLaneBlock+1))
		wantCode(t, err, socket.TooLarge)

		b.attach()
		<-time.After(time.Second)
		if err := s.TrySend(3, []byte{byte(sent)}); err != nil {
			t.Errorf("there is no room: %v", err)
		}
		b.await("blocks missing", func() bool { return len(b.blocks) == sent+2 })
		at := 0
		for _, got := range b.received() {
			if got == "on another lane" {
				continue
			}
			if got[0] != byte(at) {
				t.Fatalf("block %d is %d", at, got[0])
			}
			at++
		}
		if err := s.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, s.TrySend(3, nil), socket.Closed)
	})
}
