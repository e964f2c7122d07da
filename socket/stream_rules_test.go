package socket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/socket"
	"parley/wire"
)

// carrier opens a carrier of a byte stream of the peer's.
func (p *wild) carrier(stream, offset, received uint64, data string) *quic.Stream {
	p.t.Helper()
	return p.preambled(wire.Preamble{Kind: wire.StreamBytes, Stream: stream, Offset: offset, Received: received}, data)
}

// awaitCount reads frames up to the host's StreamCount of a stream for which f holds.
func (p *wild) awaitCount(stream uint64, yours bool, f func(*wire.StreamCount) bool) (found *wire.StreamCount) {
	p.t.Helper()
	p.until(func(m *wire.Control) bool {
		for _, c := range m.GetAck().GetStreams() {
			if c.GetStream() == stream && c.GetYours() == yours && f(c) {
				found = c
			}
		}
		return found != nil
	})
	return found
}

func isDone(c *wire.StreamCount) bool { return c.GetDone() }

// wantCount compares what a StreamCount says.
func wantCount(t *testing.T, c *wire.StreamCount, count uint64, done bool, reset, stop uint32) {
	t.Helper()
	if c.GetCount() != count || c.GetDone() != done || c.GetReset_() != reset || c.GetStop() != stop {
		t.Errorf("said %v, want count %d, done %v, reset %d, stop %d", c, count, done, reset, stop)
	}
}

// taken has the application accept the next stream of the peer's.
func (p *wild) taken() *socket.Stream {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := p.session().AcceptStream(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = s.SetDeadline(time.Now().Add(time.Hour))
	return s
}

// opened has the application open a stream and write; it returns the carrier too.
func (p *wild) opened(data string) (*socket.Stream, *quic.Stream, wire.Preamble) {
	p.t.Helper()
	s, err := p.session().OpenStream(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := s.Write([]byte(data)); err != nil {
		p.t.Fatal(err)
	}
	st, r, pre := p.incoming()
	p.reads(r, data)
	return s, st, pre
}

func (p *wild) reads(r io.Reader, want string) {
	p.t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		p.t.Errorf("read %q, %v; want %q", got, err, want)
	}
}

// What may not be said of streams, and beside it what may. The peer has opened stream 1, of which the application has
// taken 4 of 6 bytes, and answered 3 bytes; the host has opened its stream 1 and written 5 bytes.
func TestStreamRules(t *testing.T) { // ST1, ST2, ST3, ST4, ST5, ST10
	pre := func(p *wild, pre wire.Preamble, data string) {
		pre.Kind = wire.StreamBytes
		p.preambled(pre, data)
	}
	count := func(c *wire.StreamCount) func(*wild) { return func(p *wild) { p.sayCount(c) } }
	for name, tc := range map[string]struct {
		act func(p *wild)
		lie bool
	}{
		// ST1
		"1: the next number":          {func(p *wild) { p.carrier(2, 0, 0, "") }, false},
		"1: another order":            {func(p *wild) { p.carrier(3, 0, 0, ""); p.carrier(2, 0, 0, "") }, false},
		"1: another service":          {func(p *wild) { pre(p, wire.Preamble{Stream: 1, Service: "s", Protocol: "p"}, "") }, true},
		"1: another parent":           {func(p *wild) { pre(p, wire.Preamble{Stream: 1, Parent: wire.StreamRef{Number: 1, Yours: true}}, "") }, true},
		"1: a block with its number":  {func(p *wild) { p.preambled(wire.Preamble{Kind: wire.StreamBlock, Stream: 1, Length: 9}, "") }, true},
		"1: a block, another length":  {func(p *wild) { twice(p, 9, 10) }, true},
		"1: a block, the same length": {func(p *wild) { twice(p, 9, 9) }, false},
		// ST2
		"2: goes on":              {func(p *wild) { p.carrier(1, 4, 3, "ef") }, false},
		"2: repeats everything":   {func(p *wild) { p.carrier(1, 0, 0, "abcdef") }, false},
		"2: leaves a gap":         {func(p *wild) { p.carrier(1, 5, 3, "f") }, true},
		"2: received too much":    {func(p *wild) { p.carrier(1, 4, 4, "ef") }, true},
		"2: new in the middle":    {func(p *wild) { p.carrier(2, 1, 0, "") }, true},
		"2: new, having received": {func(p *wild) { p.carrier(2, 0, 1, "") }, true},
		"2: a new block goes on":  {func(p *wild) { p.preambled(wire.Preamble{Kind: wire.StreamBlock, Stream: 2, Length: 9, Offset: 1}, "") }, true},
		// ST3
		"3: ends too early": {func(p *wild) { _ = p.carrier(1, 0, 3, "abc").Close() }, true},
		"3: carrier reset":  {func(p *wild) { p.carrier(1, 4, 3, "").CancelWrite(0) }, false},
		// ST4
		"4: all": {count(&wire.StreamCount{Stream: 1, Yours: true, Count: 5}), false},
		"4: less again": {func(p *wild) {
			p.sayCount(&wire.StreamCount{Stream: 1, Yours: true, Count: 5})
			p.sayCount(&wire.StreamCount{Stream: 1, Yours: true, Count: 2})
		}, false},
		"4: too much":              {count(&wire.StreamCount{Stream: 1, Yours: true, Count: 6}), true},
		"4: too much of an answer": {count(&wire.StreamCount{Stream: 1, Count: 4}), true},
		"4: never opened":          {count(&wire.StreamCount{Stream: 2, Yours: true}), true},
		"4: yet to come":           {count(&wire.StreamCount{Stream: 2}), false},
		"4: yet to come, read":     {count(&wire.StreamCount{Stream: 2, Count: 1}), true},
		// ST5
		"5: done before the end": {count(&wire.StreamCount{Stream: 1, Yours: true, Count: 5, Done: true}), true},
		"5: stop":                {count(&wire.StreamCount{Stream: 1, Yours: true, Count: 5, Done: true, Stop: 1}), false},
		"5: reset":               {count(&wire.StreamCount{Stream: 1, Yours: true, Reset_: 1 + 300}), false},
		// ST10
		"10: child":                  {func(p *wild) { pre(p, wire.Preamble{Stream: 2, Parent: wire.StreamRef{Number: 1}}, "") }, false},
		"10: child of the host's":    {func(p *wild) { pre(p, wire.Preamble{Stream: 2, Parent: wire.StreamRef{Number: 1, Yours: true}}, "") }, false},
		"10: child of what may come": {func(p *wild) { pre(p, wire.Preamble{Stream: 2, Parent: wire.StreamRef{Number: 9}}, "") }, false},
		"10: child of nobody":        {func(p *wild) { pre(p, wire.Preamble{Stream: 2, Parent: wire.StreamRef{Number: 2, Yours: true}}, "") }, true},
		"10: its own child":          {func(p *wild) { pre(p, wire.Preamble{Stream: 2, Parent: wire.StreamRef{Number: 2}}, "") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.meet()
				p.carrier(1, 0, 0, "abcdef")
				s := p.taken()
				if _, err := s.Write([]byte("xyz")); err != nil {
					t.Fatal(err)
				}
				p.reads(s, "abcd")
				mine, _, _ := p.opened("hello")
				<-time.After(rtt)
				tc.act(p)
				<-time.After(rtt)
				for _, x := range []*socket.Stream{s, mine} {
					go func() { _, _ = io.Copy(io.Discard, x) }()
				}
				if tc.lie {
					p.refused()
				} else {
					<-time.After(time.Second)
					p.ping()
				}
			})
		})
	}
}

// twice opens two carriers of a large block.
func twice(p *wild, lengths ...uint64) {
	p.t.Helper()
	for _, n := range lengths {
		p.preambled(wire.Preamble{Kind: wire.StreamBlock, Stream: 2, Length: n}, "")
	}
}

// The host numbers its streams, and opens a carrier for those only.
func TestStreamNumbers(t *testing.T) { // ST1
	inWorld(t, func(w *world) {
		p := w.meet()
		for i := range uint64(3) {
			_, _, pre := p.opened(fmt.Sprint(i))
			if pre != (wire.Preamble{Kind: wire.StreamBytes, Stream: i + 1}) {
				t.Errorf("stream %d: %+v", i+1, pre)
			}
		}
		done := make(chan error, 1)
		go func() { done <- p.session().Send(context.Background(), 3, make([]byte, 100_000)) }()
		_, _, pre := p.incoming()
		if pre != (wire.Preamble{Kind: wire.StreamBlock, Lane: 3, Length: 100_000, Stream: 4}) {
			t.Errorf("a large block: %+v", pre)
		}
		p.carrier(1, 0, 0, "") // the peer's own number 1
		p.taken()
		better := p.x.wild(p.b, p.resumes)
		seen := map[uint64]bool{}
		for range 4 {
			_, _, pre := better.incoming()
			seen[pre.Stream] = true
		}
		if len(seen) != 4 {
			t.Errorf("carriers for %v", seen)
		}
		better.noStream() // none for what the peer has opened
	})
}

// A stream that moves goes on, in both directions, from what each side has.
func TestStreamMoves(t *testing.T) { // ST2, ST3, ST7
	inWorld(t, func(w *world) {
		p := w.meet()
		mine, old, _ := p.opened("abcdef")
		if _, err := old.Write([]byte("xyz")); err != nil {
			t.Fatal(err)
		}
		p.reads(mine, "xy")
		p.sayCount(&wire.StreamCount{Stream: 1, Yours: true, Count: 4})
		p.ping()
		better := p.x.wild(p.b, p.resumes)
		if got := resetOf(t, old); got != 5 {
			t.Errorf("the old carrier: reset with %d, want 5", got)
		}
		if got := stopOf(old); got != 5 {
			t.Errorf("the old carrier: stopped with %d, want 5", got)
		}
		said := better.awaitCount(1, false, func(*wire.StreamCount) bool { return true })
		wantCount(t, said, 2, false, 0, 0) // again, on the new connection
		st, r, pre := better.incoming()
		if pre != (wire.Preamble{Kind: wire.StreamBytes, Stream: 1, Offset: 4, Received: 2}) {
			t.Errorf("goes on with %+v, want offset 4 and received 2", pre)
		}
		p.reads(r, "ef")
		if _, err := st.Write([]byte("z")); err != nil {
			t.Fatal(err)
		}
		p.reads(mine, "z")
		_ = mine.CloseWrite()
		_ = st.Close()
		ended := make([]byte, 1)
		if n, err := r.Read(ended); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes, %v; want the end", n, err)
		}
	})
}

// A carrier that repeats gives nothing twice, and the latest counts.
func TestStreamRepeats(t *testing.T) { // ST2, ST3
	inWorld(t, func(w *world) {
		p := w.meet()
		first := p.carrier(1, 0, 0, "abcd")
		s := p.taken()
		p.reads(s, "abcd")
		if _, err := s.Write([]byte("xyz")); err != nil {
			t.Fatal(err)
		}
		p.reads(first, "xyz")
		second := p.carrier(1, 1, 2, "bcdef") // it has two of three
		p.reads(s, "ef")
		p.reads(second, "z")
		if got := stopOf(first); got != 5 {
			t.Errorf("the first carrier: stopped with %d, want 5", got)
		}
		_ = second.Close()
		if n, err := s.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes, %v; want the end", n, err)
		}
		wantCount(t, p.awaitCount(1, true, isDone), 6, true, 0, 0)
	})
}
