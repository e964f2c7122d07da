package socket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// inPair runs f with two tables of streams that are connected, in virtual time.
func inPair(t *testing.T, f func(p *fakePair)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, 1)
		p.connect()
		f(p)
		p.stop()
	})
}

// pour writes size random bytes in random pieces and returns their hash.
func pour(x io.Writer, rnd *rand.Rand, size int) (sum [32]byte, err error) {
	h := sha256.New()
	buf := make([]byte, 70_000)
	for size > 0 {
		b := buf[:min(size, 1+rnd.IntN([]int{10, 1000, len(buf)}[rnd.IntN(3)]))]
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		n, err := x.Write(b)
		h.Write(b[:n])
		if err != nil {
			return sum, err
		}
		size -= n
	}
	return [32]byte(h.Sum(nil)), nil
}

// drink reads to the end in random pieces.
func drink(x io.Reader, rnd *rand.Rand) (sum [32]byte, n int, err error) {
	h := sha256.New()
	buf := make([]byte, 70_000)
	for {
		k, err := x.Read(buf[:1+rnd.IntN([]int{10, 1000, len(buf)}[rnd.IntN(3)])])
		h.Write(buf[:k])
		if n += k; err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return [32]byte(h.Sum(nil)), n, err
		}
		if rnd.IntN(20) == 0 {
			<-time.After(time.Duration(rnd.IntN(10)) * time.Millisecond)
		}
	}
}

// C9: streams outlive 500 random connections; nothing is lost, doubled or reordered, and nothing lingers.
func TestStreamsOutliveConnections(t *testing.T) {
	for seed := range uint64(outliveSeeds) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { outlive(t, seed) })
	}
}

func outlive(t *testing.T, seed uint64) {
	t.Helper()
	const cuts, size = 500, 3 << 20
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, seed)
		p.pace = time.Microsecond
		p.connect()
		var all sync.WaitGroup
		var mu sync.Mutex
		sums := map[string][32]byte{}
		check := func(name string, sum [32]byte, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if other, ok := sums[name]; ok && other != sum {
				t.Errorf("%s: other bytes came", name)
			}
			sums[name] = sum
		}
		for i, s := range p.sides {
			for k := range 4 {
				x, err := s.openStream(context.Background(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprintf("%d/%d", i, x.id.number)
				all.Go(func() { // the opener writes, half-closes and reads the answer
					rnd := rand.New(rand.NewPCG(uint64(i), uint64(k)))
					sum, err := pour(x, rnd, size)
					check(name+" there", sum, err)
					_ = x.CloseWrite()
					sum, _, err = drink(x, rnd)
					check(name+" back", sum, err)
				})
			}
			all.Go(func() {
				for range 4 {
					y := <-s.arrivals
					y.take()
					name := fmt.Sprintf("%d/%d", 1-i, y.id.number)
					all.Go(func() {
						rnd := rand.New(rand.NewPCG(uint64(i), y.id.number+100))
						sum, err := pour(y, rnd, size)
						check(name+" back", sum, err)
						_ = y.Close
						_ = y.CloseWrite()
					})
					all.Go(func() {
						rnd := rand.New(rand.NewPCG(uint64(i), y.id.number+200))
						sum, _, err := drink(y, rnd)
						check(name+" there", sum, err)
					})
				}
			})
		}
		stop := make(chan struct{})
		done := make(chan int)
		go func() {
			rnd := rand.New(rand.NewPCG(seed, 7))
			n := 0
			for ; n < cuts; n++ {
				select {
				case <-stop:
					done <- n
					return
				case <-time.After(time.Duration(rnd.IntN(12)) * time.Millisecond):
				}
				old := p.now
				switch rnd.IntN(3) {
				case 0: // lost, noticed, replaced
					p.lose(old)
					<-time.After(time.Duration(rnd.IntN(20)) * time.Millisecond)
					p.connect()
				case 1: // replaced before it is noticed
					old.cut()
					p.connect()
					<-time.After(time.Duration(rnd.IntN(20)) * time.Millisecond)
					p.lose(old)
				case 2: // left in order, make before break
					p.connect()
					<-time.After(time.Duration(rnd.IntN(5)) * time.Millisecond)
					p.lose(old)
				}
			}
			done <- n
		}()
		all.Wait()
		close(stop)
		t.Logf("%d connections", <-done)
		if len(sums) != 16 {
			t.Errorf("%d directions ended, want 16", len(sums))
		}
		<-time.After(time.Second)
		p.idle()
		p.stop()
	})
}

// A small stream through a quiet connection, both ways.
func TestStreamEcho(t *testing.T) {
	inPair(t, func(p *fakePair) {
		x, y := p.both(0)
		go func() { _, _ = io.Copy(y, y); _ = y.CloseWrite() }()
		if _, err := x.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		_ = x.CloseWrite()
		if got, err := io.ReadAll(x); string(got) != "hello" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		<-time.After(time.Second)
		p.idle()
	})
}

// B4: a reset during an outage arrives after it.
func TestStreamResetDuringOutage(t *testing.T) {
	inPair(t, func(p *fakePair) {
		x, y := p.both(0)
		p.lose(p.now)
		x.Reset(77)
		<-time.After(time.Hour)
		p.connect()
		_, err := y.Read(make([]byte, 1))
		var reset *ResetError
		if !errors.As(err, &reset) || reset.Code != 77 {
			t.Errorf("read: %v", err)
		}
		if _, err := y.Write([]byte("x")); !errors.As(err, &reset) || reset.Code != 77 {
			t.Errorf("write: %v", err)
		}
		<-time.After(time.Second)
		p.idle()
	})
}

// B4: a stream that is reset at once, or opened, closed and reset without a connection, leaves nothing.
func TestStreamResetBeforeItArrives(t *testing.T) {
	inPair(t, func(p *fakePair) {
		for range 20 {
			x, err := p.sides[0].openStream(context.Background(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			x.Reset(1)
		}
		p.lose(p.now)
		for range 20 {
			x, _ := p.sides[1].openStream(context.Background(), "", "")
			x.Reset(1)
		}
		p.connect()
		<-time.After(time.Second)
		p.idle()
	})
}

// Close right after OpenStream and Write: the bytes arrive, though the peer hears first that nobody reads.
func TestStreamClosedBeforeItArrives(t *testing.T) {
	inPair(t, func(p *fakePair) {
		for range 20 {
			x, _ := p.sides[0].openStream(context.Background(), "", "")
			_, _ = x.Write([]byte("bye"))
			_ = x.Close()
		}
		for range 20 {
			y := <-p.sides[1].arrivals
			y.take()
			if got, err := io.ReadAll(y); string(got) != "bye" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			<-time.After(100 * time.Millisecond)
			if _, err := y.Write([]byte("x")); !errors.Is(err, Closed) {
				t.Errorf("write: %v", err)
			}
		}
		<-time.After(time.Second)
		p.idle()
	})
}

// The Done of a stream that is complete here is lost with its connection: the peer asks, and is answered.
func TestStreamDoneIsLost(t *testing.T) {
	inPair(t, func(p *fakePair) {
		x, y := p.both(0)
		_, _ = x.Write([]byte("all"))
		_ = x.CloseWrite()
		_ = y.CloseWrite()
		if _, err := io.ReadAll(x); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		c := p.now
		p.sides[1].current.Store(nil)
		if _, err := io.ReadAll(y); err != nil {
			t.Fatal(err)
		}
		for len(p.sides[1].collect(64)) > 0 { // said, and lost
		}
		if err := x.WaitAcknowledged(expired(), 3); !errors.Is(err, Timeout) && !errors.Is(err, Closed) {
			t.Errorf("acknowledged though nothing was said: %v", err)
		}
		p.lose(c)
		p.connect()
		if err := x.WaitAcknowledged(context.Background(), 3); err != nil {
			t.Error(err)
		}
		<-time.After(time.Second)
		p.idle()
	})
}

func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// B11: a reader that does not read blocks the writer at the limit exactly, and nothing more is kept.
func TestStreamWriteBuffer(t *testing.T) {
	inPair(t, func(p *fakePair) {
		x, y := p.both(0)
		const limit = 300_000
		x.SetWriteBuffer(limit)
		_ = x.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := x.Write(make([]byte, 1<<20))
		if n != limit || !errors.Is(err, Timeout) {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if !x.Blocked() || x.Written() != limit || x.Acknowledged() != 0 {
			t.Error("not blocked")
		}
		synctest.Wait()
		kept := 0
		for _, s := range x.out.segments {
			kept += cap(s.buf)
		}
		if kept > limit+maxSegment {
			t.Errorf("%d bytes kept", kept)
		}
		_ = x.SetWriteDeadline(time.Time{})
		ready := make(chan error)
		go func() { ready <- x.WaitWritable(context.Background(), 1000) }()
		synctest.Wait()
		select {
		case <-ready:
			t.Error("writable")
		default:
		}
		if _, err := io.ReadFull(y, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if err := <-ready; err != nil {
			t.Error(err)
		}
		if err := x.WaitAcknowledged(context.Background(), 1000); err != nil || x.Acknowledged() != 1000 || x.Blocked() {
			t.Errorf("%v, %d acknowledged", err, x.Acknowledged())
		}
		if k, b := p.sides[0].unacked(); k != 1 || b != limit-1000 {
			t.Errorf("%d streams, %d bytes wait", k, b)
		}
		drained := p.sides[0].drained()
		_ = x.CloseWrite()
		select {
		case <-drained:
			t.Error("drained")
		default:
		}
		_, _ = io.ReadAll(y)
		<-drained
		<-p.sides[0].drained()
		if p.sides[0].watched.Load() != 1 {
			t.Errorf("%d calls of pending", p.sides[0].watched.Load())
		}
	})
}

// B9: what was not acknowledged is handed back, to the byte.
func TestStreamAbandon(t *testing.T) {
	inPair(t, func(p *fakePair) {
		x, y := p.both(0)
		sent := make([]byte, 200_000)
		for i := range sent {
			sent[i] = byte(i * i >> 3)
		}
		_, _ = x.Write(sent)
		if _, err := io.ReadFull(y, make([]byte, 70_001)); err != nil {
			t.Fatal(err)
		}
		if err := x.WaitAcknowledged(context.Background(), 70_001); err != nil {
			t.Fatal(err)
		}
		left, at := x.Abandon(5)
		if at != 70_001 || !bytes.Equal(left, sent[70_001:]) {
			t.Errorf("%d bytes from %d", len(left), at)
		}
		if again, _ := x.Abandon(5); len(again) != 0 {
			t.Errorf("%d bytes handed back twice", len(again))
		}
		var reset *ResetError
		if _, err := io.ReadAll(y); !errors.As(err, &reset) || reset.Code != 5 {
			t.Errorf("got %v", err)
		}
		<-time.After(time.Second)
		p.idle()

		x, y = p.both(0)
		_, _ = x.Write(sent)
		y.Reset(6)
		if err := x.WaitAcknowledged(context.Background(), 1); !errors.As(err, &reset) || reset.Code != 6 {
			t.Errorf("got %v", err)
		}
		if left, at := x.Abandon(5); at != 0 || !bytes.Equal(left, sent) {
			t.Errorf("%d bytes from %d after the peer's reset", len(left), at)
		}
	})
}

// B8: the priority of a stream that runs, and of the carrier it moves to.
func TestStreamPriority(t *testing.T) {
	inPair(t, func(p *fakePair) {
		x, _ := p.both(0)
		on := func() priority {
			x.mu.Lock()
			defer x.mu.Unlock()
			return priority(x.at.st.(*fakeStream).priority.Load())
		}
		if on() != priorityStream {
			t.Errorf("priority %d", on())
		}
		x.SetPriority(PriorityInteractive)
		if on() != priorityInteractive {
			t.Errorf("priority %d", on())
		}
		x.SetPriority(PriorityBackground)
		p.lose(p.now)
		p.connect()
		<-time.After(time.Second)
		if on() != priorityBulk {
			t.Errorf("priority %d after the move", on())
		}
	})
}

// Deadlines apply to calls that wait for a connection, and a deadline that was lifted leaves nothing behind.
func TestStreamDeadlines(t *testing.T) {
	inPair(t, func(p *fakePair) {
		x, y := p.both(0)
		p.lose(p.now)
		start := time.Now()
		_ = y.SetReadDeadline(start.Add(time.Second))
		if _, err := y.Read(make([]byte, 1)); !errors.Is(err, Timeout) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		go func() {
			<-time.After(time.Second)
			_ = y.SetReadDeadline(time.Now().Add(time.Second)) // later than the one that is waited for now
		}()
		_ = y.SetReadDeadline(time.Now().Add(1500 * time.Millisecond))
		start = time.Now()
		if _, err := y.Read(make([]byte, 1)); !errors.Is(err, Timeout) || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		_ = y.SetReadDeadline(time.Now().Add(time.Second))
		p.connect()
		if _, err := y.Read(make([]byte, 1)); !errors.Is(err, Timeout) { // in the carrier
			t.Error(err)
		}
		_ = y.SetReadDeadline(time.Time{})
		go func() { <-time.After(time.Minute); _, _ = x.Write([]byte("x")) }()
		if _, err := y.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
}

// The end of the session ends everything that blocks.
func TestStreamsEndWithTheirSession(t *testing.T) {
	inPair(t, func(p *fakePair) {
		x, _ := p.both(0)
		x.SetWriteBuffer(10)
		n := make(chan error)
		go func() { _, err := x.Read(make([]byte, 1)); n <- err }()
		go func() { _, err := x.Write(make([]byte, 11)); n <- err }()
		synctest.Wait()
		go func() { n <- x.WaitAcknowledged(context.Background(), 10) }()
		go func() { n <- x.WaitWritable(context.Background(), 10) }()
		go func() { _, err := x.AcceptStream(context.Background()); n <- errors.Join(err, Superseded) }()
		go func() { n <- p.sides[0].sendLarge(context.Background(), 0, 0, make([]byte, 1<<20)) }()
		p.sides[1].gate = make(chan struct{})
		synctest.Wait()
		p.sides[0].streams.fail()
		for range 6 {
			if err := <-n; !errors.Is(err, Superseded) {
				t.Error(err)
			}
		}
		if left, at := x.Abandon(1); len(left) != 10 || at != 0 {
			t.Errorf("%d bytes handed back", len(left))
		}
	})
}

// At most so many streams are open, of either side's opening.
func TestStreamLimit(t *testing.T) {
	inPair(t, func(p *fakePair) {
		p.sides[0].limit, p.sides[1].limit = 3, 2
		var open []*Stream
		for range 3 {
			x, err := p.sides[0].openStream(context.Background(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, x)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := p.sides[0].openStream(ctx, "", ""); err != nil { // one was refused, and so made room
			t.Errorf("a fourth stream: %v", err)
		}
		refused := 0
		for _, x := range open {
			_ = x.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := x.Read(make([]byte, 1)); errors.Is(err, Limit) {
				refused++
			}
		}
		if refused != 1 {
			t.Errorf("%d streams refused", refused)
		}
	})
}
