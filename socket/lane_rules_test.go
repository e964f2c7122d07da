package socket_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/wire"
)

// wantBlocks checks what the host has handed up, in order, once nothing more comes.
func (p *wild) wantBlocks(want ...string) {
	p.t.Helper()
	p.b.await("blocks missing", func() bool { return len(p.b.blocks) >= len(want) })
	<-time.After(time.Second)
	if got := p.b.received(); !slices.Equal(got, want) {
		p.t.Errorf("handed up %q, want %q", got, want)
	}
}

// ended reads a stream to its end, which must come without a byte.
func ended(t *testing.T, st *quic.Stream) {
	t.Helper()
	_ = st.SetReadDeadline(time.Now().Add(time.Minute))
	if b, err := io.ReadAll(st); err != nil || len(b) > 0 {
		t.Errorf("the host wrote %q, then %v; want the end", b, err)
	}
}

// Blocks that come twice, on one connection or several, are handed up once, from whichever stream brings them first.
func TestLaneRepeats(t *testing.T) { // SE7, BL2, BL8, BL9
	inWorld(t, func(w *world) {
		p := w.meet()
		first := p.lane(0, 0, "0", "1")
		p.wantBlocks("0", "1")
		same := p.lane(0, 1, "1", "2") // on the same connection, the first still being open
		p.wantBlocks("0", "1", "2")
		if _, err := first.Write([]byte(framed("2", "3"))); err != nil {
			t.Fatal(err)
		}
		p.wantBlocks("0", "1", "2", "3")
		_ = first.Close()
		ended(t, first)
		same.CancelWrite(5)
		same.CancelRead(5)
		better := p.x.wild(p.b, p.resumes)
		last := better.lane(0, 0, "0", "1", "2", "3", "4")
		p.wantBlocks("0", "1", "2", "3", "4")
		_ = last.Close()
		ended(t, last)
		empty := better.lane(0, 5)
		_ = empty.Close()
		ended(t, empty)
		better.ping()
	})
}

// A lane goes on in time or not at all.
func TestLaneSkips(t *testing.T) { // BL8
	inWorld(t, func(w *world) {
		p := w.meet()
		p.lane(0, 0, "0", "1")
		p.wantBlocks("0", "1")
		better := p.x.wild(p.b, p.resumes)
		better.lane(0, 3, "3")
		better.refused()
	})
}

// laneReset resets a lane that has been read: before that, QUIC may drop its preamble with it.
func laneReset(p *wild, code quic.StreamErrorCode) {
	st := p.lane(0, 0, "0")
	p.b.await("no block", func() bool { return len(p.b.blocks) > 0 })
	st.CancelWrite(code)
}

// How a lane may not end.
func TestLaneBreaks(t *testing.T) { // BL9
	for name, act := range map[string]func(p *wild){
		"reset with 0":       func(p *wild) { laneReset(p, 0) },
		"reset with 4":       func(p *wild) { laneReset(p, 4) },
		"reset by an app":    func(p *wild) { laneReset(p, 300) },
		"ends in a length":   func(p *wild) { _ = p.preambled(wire.Preamble{Kind: wire.StreamLane}, "\x80").Close() },
		"ends in a block":    func(p *wild) { _ = p.preambled(wire.Preamble{Kind: wire.StreamLane}, "\x02x").Close() },
		"longer than 64 KiB": func(p *wild) { p.preambled(wire.Preamble{Kind: wire.StreamLane}, "\x81\x80\x04") },
		"stopped with moved": func(p *wild) {
			s := p.session()
			for range 3 {
				_ = s.Send(context.Background(), 0, []byte("x"))
				if st, err := p.c.AcceptStream(p.c.Context()); err == nil {
					st.CancelRead(5)
				}
				<-time.After(time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.meet()
				go act(p)
				p.refused()
			})
		})
	}
}

// A lane that moves leaves its old stream, and begins with the first block that is not acknowledged.
func TestLaneMoves(t *testing.T) { // BL8, SE7
	inWorld(t, func(w *world) {
		p := w.meet()
		for _, b := range []string{"0", "1", "2"} {
			if err := p.session().Send(context.Background(), 4, []byte(b)); err != nil {
				t.Fatal(err)
			}
			<-time.After(rtt)
		}
		old, r, pre := p.incoming()
		if pre != (wire.Preamble{Kind: wire.StreamLane, Lane: 4}) {
			t.Errorf("began with %+v", pre)
		}
		got := make([]byte, len(framed("0", "1", "2")))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != framed("0", "1", "2") {
			t.Errorf("got %q, %v", got, err)
		}
		p.sayReceived(4, 2)
		p.ping()
		better := p.x.wild(p.b, p.resumes)
		if got := resetOf(t, old); got != 5 {
			t.Errorf("the old stream: reset with %d, want 5", got)
		}
		if got := stopOf(old); got != 5 {
			t.Errorf("the old stream: stopped with %d, want 5", got)
		}
		_, r, pre = better.incoming()
		if pre != (wire.Preamble{Kind: wire.StreamLane, Lane: 4, Number: 2}) {
			t.Errorf("goes on with %+v", pre)
		}
		got = got[:2]
		if _, err := io.ReadFull(r, got); err != nil || string(got) != framed("2") {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// Where a peer's lane is silent on the wire: the receiver of a lane says nothing there.
func TestLaneIsOneWay(t *testing.T) { // BL9
	inWorld(t, func(w *world) {
		p := w.meet()
		st := p.lane(0, 0, "0")
		p.wantBlocks("0")
		_ = st.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := st.Read(make([]byte, 1))
		if idle, ok := errors.AsType[net.Error](err); n != 0 || !ok || !idle.Timeout() {
			t.Errorf("%d bytes, %v; want nothing", n, err)
		}
	})
}
