package socket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"parley/wire"
)

// A buffer that a carrier is still reading is not used again, though its bytes have been acknowledged.
func TestSegmentIsPinned(t *testing.T) {
	var o outHalf
	o.append(make([]byte, maxSegment))
	s, b := o.pin(100, largeWrite)
	if len(b) != maxSegment-100 || o.high != maxSegment {
		t.Fatalf("%d bytes to write, high %d", len(b), o.high)
	}
	o.trim(maxSegment)
	if s.buf == nil {
		t.Error("given away while it is read")
	}
	if o.unpin(s); s.buf != nil || len(o.segments) != 0 {
		t.Error("kept though nobody needs it")
	}
}

// Segments fit what is written: a few words cost little, and many small pieces do not cost an allocation each.
func TestSegmentSizes(t *testing.T) {
	var o outHalf
	o.append([]byte("hello"))
	if c := cap(o.segments[0].buf); c != minSegment {
		t.Errorf("%d bytes for a word", c)
	}
	var want []byte
	want = append(want, "hello"...)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		b := make([]byte, rnd.IntN(100))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		o.append(b)
		want = append(want, b...)
	}
	if n := len(o.segments); n > 12+len(want)/maxSegment {
		t.Errorf("%d segments for %d bytes", n, len(want))
	}
	var got []byte
	for len(got) < len(want) {
		s, b := o.pin(uint64(len(got)), largeWrite)
		got = append(got, b...)
		o.unpin(s)
	}
	if !bytes.Equal(got, want) {
		t.Error("other bytes")
	}
	o.acked = 12_345
	o.trim(o.acked)
	if left, at := o.kept(); at != 12_345 || !bytes.Equal(left, want[at:]) {
		t.Errorf("%d bytes kept from %d", len(left), at)
	}
}

// lateStream gives bytes although it was cancelled, as a carrier does whose Read had them already. Without
// bytes it gives a timeout.
type lateStream struct {
	*fakeStream
	give chan string
}

func (s lateStream) Read(p []byte) (int, error) {
	if b := <-s.give; b != "" {
		return copy(p, b), nil
	}
	return 0, &Error{Code: Timeout, Op: "read"}
}

// A carrier may notice a deadline that has just been replaced. That is not its end.
func TestStreamDeadlineReplaced(t *testing.T) {
	inPair(t, func(p *fakePair) {
		x, _ := p.both(0)
		synctest.Wait()
		late := make(chan string)
		x.mu.Lock()
		x.at.st = lateStream{x.at.st.(*fakeStream), late}
		x.mu.Unlock()
		got := make(chan error)
		go func() { _, err := x.Read(make([]byte, 1)); got <- err }()
		synctest.Wait()
		_ = x.SetReadDeadline(time.Now().Add(time.Hour))
		late <- ""
		late <- "x"
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

// heldStream holds on to what is written to it.
type heldStream struct {
	*fakeStream
	release chan struct{}
}

func (s heldStream) Write(p []byte) (int, error) {
	<-s.release
	return s.fakeStream.Write(p)
}

// A large block is not copied: Send returns only when no carrier reads it any more.
func TestLargeBlockIsLetGo(t *testing.T) {
	inPair(t, func(p *fakePair) {
		release := make(chan struct{})
		p.sides[0].wrap = func(s *fakeStream) stream { return heldStream{s, release} }
		ctx, cancel := context.WithCancel(context.Background())
		sent := make(chan error, 1)
		go func() { sent <- p.sides[0].sendLarge(ctx, 0, 0, make([]byte, 100_000)) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if len(sent) != 0 {
			t.Error("returned while the block is read")
		}
		close(release)
		if err := <-sent; !errors.Is(err, Closed) {
			t.Errorf("got %v", err)
		}
	})
}

// C9: the new carrier begins at what was received when the stream moved; what the old one still gives would
// come twice, or be acknowledged before the peer knows where to begin.
func TestStreamDropsWhatComesLate(t *testing.T) {
	inPair(t, func(p *fakePair) {
		x, y := p.both(0)
		synctest.Wait()
		late := make(chan string)
		x.mu.Lock()
		x.at.st = lateStream{x.at.st.(*fakeStream), late}
		x.mu.Unlock()
		_, _ = y.Write([]byte("bytes"))
		got := make(chan string)
		go func() {
			b := make([]byte, 5)
			_, _ = io.ReadFull(x, b)
			got <- string(b)
		}()
		synctest.Wait()
		p.connect()
		synctest.Wait()
		late <- "BYTES"
		if s := <-got; s != "bytes" {
			t.Errorf("got %q", s)
		}
	})
}

// Bulk over carriers in memory, with acknowledgements: what the streams themselves cost.
func BenchmarkStreamWrite(b *testing.B) {
	for name, size := range map[string]int{"128B": 128, "16KiB": 16 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			p := newPair(&testing.T{}, 1)
			p.rnd = nil // no delay
			p.connect()
			x, err := p.sides[0].openStream(context.Background(), "", "")
			if err != nil {
				b.Fatal(err)
			}
			y := <-p.sides[1].arrivals
			done := make(chan struct{})
			go func() { _, _ = io.Copy(io.Discard, y); close(done) }()
			buf := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.Write(buf); err != nil {
					b.Fatal(err)
				}
			}
			_ = x.CloseWrite()
			<-done
			for _, s := range p.sides {
				s.end(&Error{Code: Closed})
				<-s.streams.fail()
			}
			p.now.cut()
		})
	}
}

// A carrier that was opened before the present one and comes after it is of no use: the bytes it asks for are
// not kept any more.
func TestStreamIgnoresLateCarrier(t *testing.T) {
	inPair(t, func(p *fakePair) {
		x, y := p.both(0)
		for range 2 {
			_, _ = y.Write(make([]byte, 50))
			if _, err := io.ReadFull(x, make([]byte, 50)); err != nil {
				t.Fatal(err)
			}
		}
		if err := y.WaitAcknowledged(context.Background(), 100); err != nil {
			t.Fatal(err)
		}
		y.mu.Lock()
		at := y.at
		y.mu.Unlock()
		_, late := fakeStreams()
		if err := p.sides[1].receive(&link{}, late, wire.Preamble{Kind: wire.StreamBytes, Stream: 1, Received: 50}); err != nil {
			t.Error(err)
		}
		y.mu.Lock()
		if y.at != at || resetCode(late.lastCode.Load()) != resetMoved {
			t.Error("it was taken")
		}
		y.mu.Unlock()
		_, _ = y.Write([]byte("more"))
		if _, err := io.ReadFull(x, make([]byte, 4)); err != nil {
			t.Error(err)
		}
	})
}
