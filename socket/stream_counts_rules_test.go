package socket_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"parley/socket"
	"parley/wire"
)

// How the host says what it has taken, that it is done, and that it gives up.
func TestStreamCounts(t *testing.T) { // ST4, ST5, SE14
	inWorld(t, func(w *world) {
		p := w.meet()
		st := p.carrier(1, 0, 0, "abcd")
		p.silent("a count of what nobody has taken", time.Second, func(m *wire.Control) bool { return m.GetAck() != nil })
		s := p.taken()
		wantCount(t, p.awaitCount(1, true, func(*wire.StreamCount) bool { return true }), 0, false, 0, 0)
		start := time.Now()
		p.reads(s, "abc")
		wantCount(t, p.awaitCount(1, true, func(c *wire.StreamCount) bool { return c.GetCount() > 0 }), 3, false, 0, 0)
		if took := time.Since(start); took > rtt/2+25*time.Millisecond+5*time.Millisecond {
			t.Errorf("said after %v", took)
		}
		_ = st.Close()
		p.reads(s, "d")
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read: %v", err)
		}
		wantCount(t, p.awaitCount(1, true, isDone), 4, true, 0, 0)

		p.carrier(2, 0, 0, "abcd")
		s = p.taken()
		p.reads(s, "ab")
		s.Reset(77)
		wantCount(t, p.awaitCount(2, true, isDone), 2, true, 1+256+77, 1+256+77)

		p.carrier(3, 0, 0, "abcd") // a reset is answered
		s = p.taken()
		p.reads(s, "ab")
		p.sayCount(&wire.StreamCount{Stream: 3, Reset_: 1 + 256 + 5})
		wantCount(t, p.awaitCount(3, true, isDone), 2, true, 0, 0)
		reset, ok := errors.AsType[*socket.ResetError](second(s.Read(make([]byte, 1))))
		if !ok || reset.Code != 5 {
			t.Errorf("read: %v", reset)
		}
		p.sayCount(&wire.StreamCount{Stream: 3, Done: true, Stop: 1 + 256 + 6})
		<-time.After(rtt)
		if reset, ok = errors.AsType[*socket.ResetError](second(s.Write([]byte("x")))); !ok || reset.Code != 6 {
			t.Errorf("write: %v", reset)
		}
		p.ping()
	})
}

func second[T any](_ T, err error) error { return err }

// A stream that is complete is not forgotten at once: who asks is answered, once, and a carrier of it is of no use.
func TestCompleteStreams(t *testing.T) { // ST6, ST7
	inWorld(t, func(w *world) {
		p := w.meet()
		st := p.carrier(1, 0, 0, "abcd")
		_ = st.Close()
		s := p.taken()
		if _, err := io.ReadAll(s); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		wantCount(t, p.awaitCount(1, true, isDone), 4, true, 0, 0)
		anything := func(*wire.StreamCount) bool { return true }
		p.sayCount(&wire.StreamCount{Stream: 1, Done: true}) // now it is complete for both
		p.ping()
		p.sayCount(&wire.StreamCount{Stream: 1, Done: true}) // but if its answer had been lost
		wantCount(t, p.awaitCount(1, true, anything), 4, true, 1+8, 0)
		again := p.carrier(1, 0, 0, "abcd")
		wantCount(t, p.awaitCount(1, true, anything), 4, true, 1+8, 0)
		if got := stopOf(again); got != 0 {
			t.Errorf("its carrier: stopped with %d, want 0", got)
		}
		p.sayCount(&wire.StreamCount{Stream: 1, Done: true, Reset_: 1 + 8})
		p.silent("an answer to an answer", time.Second, func(m *wire.Control) bool { return m.GetAck() != nil })

		p.carrier(2, 0, 0, "abcd") // one that was not read
		p.taken().Reset(1)
		p.awaitCount(2, true, isDone)
		p.sayCount(&wire.StreamCount{Stream: 2, Done: true})
		p.ping()
		p.carrier(2, 0, 0, "abcd")
		wantCount(t, p.awaitCount(2, true, anything), 0, true, 1+8, 1+256+1)
		p.ping()
	})
}

// Streams that nobody remembers how they ended were perhaps not read.
func TestForgottenStream(t *testing.T) { // ST7
	watchdog(t)
	inWorld(t, func(w *world) {
		p := w.meet()
		const many = 300
		for i := range uint64(many) {
			p.sayCount(&wire.StreamCount{Stream: i + 1, Reset_: 1})
		}
		p.ping()
		st := p.carrier(1, 0, 0, "x")
		wantCount(t, p.awaitCount(1, true, func(*wire.StreamCount) bool { return true }), 0, true, 1+8, 1)
		if got := stopOf(st); got != 0 {
			t.Errorf("stopped with %d", got)
		}
	})
}

// What the control stream says of a stream that has yet to come.
func TestStreamCountOvertakes(t *testing.T) { // ST8
	inWorld(t, func(w *world) {
		p := w.meet()
		p.sayCount(&wire.StreamCount{Stream: 1, Reset_: 1})
		wantCount(t, p.awaitCount(1, true, isDone), 0, true, 1+8, 1)
		if got := stopOf(p.carrier(1, 0, 0, "too late")); got != 0 {
			t.Errorf("stopped with %d", got)
		}
		p.sayCount(&wire.StreamCount{Stream: 2, Done: true, Stop: 1 + 256 + 9})
		p.ping()
		st := p.carrier(2, 0, 0, "all the same")
		_ = st.Close()
		s := p.taken() // the first was not handed up
		if got, err := io.ReadAll(s); string(got) != "all the same" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		if reset, ok := errors.AsType[*socket.ResetError](second(s.Write([]byte("x")))); !ok || reset.Code != 9 {
			t.Errorf("write: %v", reset)
		}
	})
}
