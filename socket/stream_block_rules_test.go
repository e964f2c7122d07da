package socket_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/socket"
	"parley/wire"
)

// Large blocks: confirmed when they have been handed up, and continued where they were.
func TestLargeBlocks(t *testing.T) { // ST12, BL3, BL4, ST2
	block := func(p *wild, stream, length, offset uint64, data string) *quic.Stream {
		p.t.Helper()
		return p.preambled(wire.Preamble{Kind: wire.StreamBlock, Stream: stream, Length: length, Offset: offset}, data)
	}
	inWorld(t, func(w *world) {
		p := w.meet(func(c *socket.Config) { c.MaxBlock = 1 << 20 })
		_ = block(p, 1, 6, 0, "abcdef").Close()
		wantCount(t, p.awaitCount(1, true, isDone), 6, true, 0, 0)
		p.wantBlocks("abcdef")

		block(p, 2, 6, 0, "ghi")
		<-time.After(rtt)
		better := p.x.wild(p.b, p.resumes)
		wantCount(t, better.awaitCount(2, true, func(*wire.StreamCount) bool { return true }), 3, false, 0, 0)
		_ = block(better, 2, 6, 2, "ijkl").Close() // one byte is repeated
		wantCount(t, better.awaitCount(2, true, isDone), 6, true, 0, 0)
		better.wantBlocks("abcdef", "ghijkl")

		block(better, 3, 1<<20+1, 0, "")
		wantCount(t, better.awaitCount(3, true, isDone), 0, true, 0, 1+2)
		start := time.Now()
		block(better, 4, 6, 0, "mno")
		wantCount(t, better.awaitCount(4, true, isDone), 3, true, 0, 1+3)
		if took := time.Since(start); took < 59*time.Second || took > 61*time.Second {
			t.Errorf("given up after %v, want a minute", took)
		}
		block(better, 5, 6, 0, "pqr")
		<-time.After(rtt)
		better.sayCount(&wire.StreamCount{Stream: 5, Reset_: 1})
		wantCount(t, better.awaitCount(5, true, isDone), 3, true, 0, 0)
		better.wantBlocks("abcdef", "ghijkl")
	})
	inWorld(t, func(w *world) { // and in the other direction
		p := w.meet()
		done := make(chan error, 1)
		go func() { done <- p.session().Send(context.Background(), 0, make([]byte, 100_000)) }()
		_, r, pre := p.incoming()
		if pre != (wire.Preamble{Kind: wire.StreamBlock, Stream: 1, Length: 100_000}) {
			t.Errorf("got %+v", pre)
		}
		if b, err := io.ReadAll(r); len(b) != 100_000 || err != nil {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		select {
		case err := <-done:
			t.Errorf("Send returned %v before the block was confirmed", err)
		case <-time.After(time.Second):
		}
		p.sayCount(&wire.StreamCount{Stream: 1, Yours: true, Count: 100_000, Done: true})
		if err := <-done; err != nil {
			t.Error(err)
		}
		go func() { done <- p.session().Send(context.Background(), 0, make([]byte, 100_000)) }()
		p.incoming()
		p.sayCount(&wire.StreamCount{Stream: 2, Yours: true, Done: true, Stop: 1 + 3})
		wantCode(t, <-done, socket.Limit)
	})
}
