package socket_test

import (
	"context"
	"testing"
	"time"

	"parley/socket"
	"parley/wire"
)

// More streams than may be open are refused, each for itself; numbers far below the highest are past.
func TestTooManyStreams(t *testing.T) { // ST9, CN7
	watchdog(t)
	inWorld(t, func(w *world) {
		const limit = 128
		p := w.meet(func(c *socket.Config) { c.MaxStreams = limit })
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		open := 0
		for ; open < limit; open++ { // QUIC's own limit counts the control stream
			pre, _ := wire.Preamble{Kind: wire.StreamBytes, Stream: uint64(open + 1)}.Append(nil)
			st, err := p.c.OpenStreamSync(ctx)
			if err != nil {
				break
			}
			_, _ = st.Write(pre)
			p.taken()
		}
		better := p.x.wild(p.b, p.resumes) // which has a limit of its own
		for n := open + 1; n <= limit; n++ {
			better.carrier(uint64(n), 0, 0, "")
			p.taken()
		}
		better.carrier(limit+1, 0, 0, "")
		wantCount(t, better.awaitCount(limit+1, true, isDone), 0, true, 1+3, 1+3)
		better.ping()
	})
	inWorld(t, func(w *world) {
		const limit = 128
		p := w.meet(func(c *socket.Config) { c.MaxStreams = limit })
		p.carrier(4*limit+1, 0, 0, "")
		p.taken()
		p.carrier(2, 0, 0, "")
		p.taken()
		p.carrier(1, 0, 0, "")
		wantCount(t, p.awaitCount(1, true, isDone), 0, true, 1+8, 1)
		p.ping()
	})
}

// Children wait for their parents, and end with them.
func TestChildren(t *testing.T) { // ST10
	child := func(p *wild, number uint64, of wire.StreamRef) {
		p.t.Helper()
		p.preambled(wire.Preamble{Kind: wire.StreamBytes, Stream: number, Parent: of}, "")
	}
	inWorld(t, func(w *world) {
		p := w.meet()
		child(p, 2, wire.StreamRef{Number: 1}) // before its parent
		p.ping()
		p.carrier(1, 0, 0, "")
		parent := p.taken()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := parent.AcceptStream(ctx); err != nil {
			t.Fatal(err)
		}
		child(p, 3, wire.StreamRef{Number: 2}) // a grandchild
		p.ping()
		parent.Reset(1)
		ended := map[uint64]*wire.StreamCount{}
		p.until(func(m *wire.Control) bool {
			for _, c := range m.GetAck().GetStreams() {
				if c.GetDone() {
					ended[c.GetStream()] = c
				}
			}
			return len(ended) == 3
		})
		wantCount(t, ended[2], 0, true, 1+6, 1+6)
		wantCount(t, ended[3], 0, true, 1+6, 1+6)
		child(p, 4, wire.StreamRef{Number: 1}) // too late
		wantCount(t, p.awaitCount(4, true, isDone), 0, true, 1+6, 1+6)
		child(p, 5, wire.StreamRef{Number: 6}) // whose parent never comes
		p.sayCount(&wire.StreamCount{Stream: 6, Reset_: 1})
		wantCount(t, p.awaitCount(5, true, isDone), 0, true, 1+6, 1+6)
		for i := range uint64(128) {
			child(p, 100+i, wire.StreamRef{Number: 99})
			p.ping()
		}
		child(p, 228, wire.StreamRef{Number: 99})
		wantCount(t, p.awaitCount(228, true, isDone), 0, true, 1+1, 1+1)
		p.ping()
	})
	inWorld(t, func(w *world) { // the host's: it says who the parent is, and ends both
		p := w.meet()
		parent, _, _ := p.opened("x")
		if _, err := parent.OpenStream(context.Background()); err != nil {
			t.Fatal(err)
		}
		_, _, pre := p.incoming()
		if pre != (wire.Preamble{Kind: wire.StreamBytes, Stream: 2, Parent: wire.StreamRef{Number: 1}}) {
			t.Errorf("a child: %+v", pre)
		}
		parent.Reset(1)
		wantCount(t, p.awaitCount(2, false, isDone), 0, true, 1+6, 1+6)
	})
}

// Streams that nobody takes.
func TestRefusedStreams(t *testing.T) { // ST11, CN7
	inWorld(t, func(w *world) {
		p := w.meet()
		p.preambled(wire.Preamble{Kind: wire.StreamBytes, Stream: 1, Service: "nobody", Protocol: "knows"}, "x")
		wantCount(t, p.awaitCount(1, true, isDone), 0, true, 1+7, 1+7)
		for i := range uint64(129) { // so many wait for AcceptStream, and one more
			p.carrier(2+i, 0, 0, "")
			p.ping()
		}
	})
	inWorld(t, func(w *world) {
		p := w.meet()
		for i := range uint64(128) {
			p.carrier(1+i, 0, 0, "")
			p.ping()
		}
		p.carrier(129, 0, 0, "")
		wantCount(t, p.awaitCount(129, true, isDone), 0, true, 1+1, 1+1)
	})
}
