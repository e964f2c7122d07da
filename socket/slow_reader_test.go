package socket_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"parley/socket"
)

// slowReading is what streams that nobody reads do to others.
type slowReading struct {
	took  time.Duration // by the streams that are read
	p99   time.Duration // of the blocks' round trips
	held  uint64        // bytes of one stream that the sender keeps
	grown uint64        // bytes of heap, both ends together, by the streams that nobody reads
	again time.Duration // from when the others are read on to their first bytes, the worst
}

// slowReader is a peer that stops reading the first few of 8 streams.
type slowReader struct {
	mute  int  // how many
	after int  // bytes of each, which it does read
	back  bool // the accepting side writes
}

// tile is what the streams carry, again and again: of a prime length, so that bytes in a wrong place are other bytes.
var tile = func() []byte {
	b := make([]byte, 65521)
	for i := range b {
		b[i] = byte(i * i >> 4)
	}
	return b
}()

// checker finds out whether what is written to it is what follows in tile.
type checker struct{ at int }

func (c *checker) Write(p []byte) (int, error) {
	for n := 0; n < len(p); {
		k := min(len(p)-n, len(tile)-c.at%len(tile))
		if !bytes.Equal(p[n:n+k], tile[c.at%len(tile):][:k]) {
			return n, fmt.Errorf("other bytes after %d", c.at)
		}
		n += k
		c.at += k
	}
	return len(p), nil
}

// run opens 8 streams between a and b, of which those that are not to be read fill up, and moves 4 MiB over each of the
// others while blocks go to and fro. In the end the readers that have stopped go on.
func (r slowReader) run(w *world, limits func(*socket.Config)) (got slowReading) {
	const size = 4 << 20
	t := w.t
	t.Helper()
	a, b := w.unattached("a", limits), w.unattached("b", limits)
	back := make(chan int, 1<<10)
	nothing, over := func(id, uint64, uint64) {}, func(id, uint64, error) {}
	a.Attach(nothing, func(_ id, _ uint64, x []byte) { back <- int(binary.BigEndian.Uint64(x)) }, over)
	b.Attach(nothing, func(from id, session uint64, x []byte) {
		if err := b.Send(context.Background(), from, session, 0, x); err != nil {
			t.Error(err)
		}
	}, over)
	a.Observe(func(e socket.Event) {
		if e.Kind == socket.Stalled || e.Kind == socket.Down {
			t.Errorf("event %v: %v", e.Kind, e.Cause)
		}
	})
	s := a.dial(b)
	<-time.After(time.Second)
	theirs, ok := b.Session(a.LocalID())
	if !ok {
		t.Fatal("no session")
	}
	open := func() (from, to *socket.Stream) {
		from, to = streams(t, s, theirs)
		if r.back {
			return to, from
		}
		return from, to
	}
	before := heap()
	type half struct {
		from, to *socket.Stream
		got      checker
	}
	unread := make([]*half, r.mute)
	var fill sync.WaitGroup
	for i := range unread {
		h := &half{}
		h.from, h.to = open()
		unread[i] = h
		_ = h.from.SetWriteDeadline(time.Now().Add(30 * time.Second))
		fill.Go(func() {
			for {
				if _, err := h.from.Write(tile); err != nil {
					return
				}
			}
		})
		fill.Go(func() {
			if _, err := io.CopyN(&h.got, h.to, int64(r.after)); err != nil {
				t.Error(err)
			}
		})
	}
	fill.Wait()
	for _, h := range unread {
		got.held = max(got.held, h.from.Written()-h.from.Acknowledged())
	}
	if now := heap(); now > before {
		got.grown = now - before
	}

	start := time.Now()
	var rest sync.WaitGroup
	for range 8 - r.mute {
		x, y := open()
		_ = x.SetDeadline(time.Now().Add(time.Minute))
		_ = y.SetDeadline(time.Now().Add(time.Minute))
		rest.Go(func() {
			if n, err := io.Copy(io.Discard, io.LimitReader(y, size)); n != size || err != nil {
				t.Errorf("%d bytes of a stream came: %v", n, err)
			}
		})
		rest.Go(func() {
			if _, err := x.Write(make([]byte, size)); err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		rest.Wait()
		got.took = time.Since(start)
	}()
	var trips []time.Duration
	for i := range 500 {
		begun := time.Now()
		if err := s.Send(context.Background(), 0, binary.BigEndian.AppendUint64(nil, uint64(i))); err != nil {
			t.Error(err)
		}
		select {
		case <-back:
		case <-time.After(10 * time.Second):
			t.Error("no answer for 10 s")
			return got
		}
		trips = append(trips, time.Since(begun))
		<-time.After(5 * time.Millisecond)
	}
	<-done
	got.p99 = quantile(trips, 0.99)

	for _, h := range unread {
		_ = h.from.CloseWrite()
		start := time.Now()
		if _, err := io.CopyN(&h.got, h.to, 1); err != nil {
			t.Error(err)
		}
		got.again = max(got.again, time.Since(start))
		if _, err := io.Copy(&h.got, h.to); err != nil || uint64(h.got.at) != h.from.Written() {
			t.Errorf("%d bytes of %d came in the end: %v", h.got.at, h.from.Written(), err)
		}
	}
	return got
}

// heap is what is in use, garbage collected twice because pools keep what they held for one collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A peer that stops reading some of 8 streams (R22), at the beginning or in the middle, delays neither the others nor
// blocks (T14), what that costs both sides together is what the settings allow, and when it goes on reading everything
// is there.
func TestSlowReader(t *testing.T) {
	const buffer, window = 2 << 20, 1 << 20
	limits := func(c *socket.Config) { c.StreamBuffer, c.StreamWindow = buffer, window }
	for _, r := range []slowReader{{}, {after: 4 << 20}, {back: true}, {after: 4 << 20, back: true}} {
		var base slowReading
		mutes := []int{0, 1, 2, 4, 7}
		if raceEnabled {
			mutes = []int{0, 4}
		}
		for _, r.mute = range mutes {
			t.Run(fmt.Sprintf("%+v", r), func(t *testing.T) {
				watchdog(t)
				var g slowReading
				inWorld(t, func(w *world) { g = r.run(w, limits) })
				t.Logf("%+v", g)
				if r.mute == 0 {
					base = g
				}
				if g.took > base.took*13/10 || g.p99 > base.p99*3/2 {
					t.Errorf("the other streams took %v, and blocks %v: without any that is not read %v and %v", g.took, g.p99, base.took, base.p99)
				}
				if g.held > buffer {
					t.Errorf("%d bytes of one stream are held, more than its %d", g.held, buffer)
				}
				const received = window * 3 / 2 // QUIC keeps whole packets
				if most := uint64(r.mute*(buffer+received) + 256<<10); g.grown > most {
					t.Errorf("the heap has grown by %d bytes, more than %d", g.grown, most)
				}
				if g.again > 2*rtt {
					t.Errorf("a reader waited %v when it went on", g.again)
				}
			})
		}
	}
}

// Streams that are read slowly, and many that are not read at all, leave the connection to one whose reader keeps up
// (R22, T14).
func TestSlowReaders(t *testing.T) {
	const size = 4 << 20
	var base time.Duration
	for _, c := range []struct{ streams, rate int }{{0, 0}, {4, 20_000}, {7, 20_000}, {7, 100_000}, {64, 0}, {64, 1000}} {
		t.Run(fmt.Sprintf("%d at %d bytes a second", c.streams, c.rate), func(t *testing.T) {
			inWorld(t, func(w *world) {
				a, b := w.node("a", func(c *socket.Config) { c.StreamBuffer = 512 << 10 }), w.node("b")
				s, r := a.dial(b), b.session(a)
				var wait sync.WaitGroup
				stop := make(chan struct{})
				for range c.streams {
					x, y := streams(t, s, r)
					wait.Go(func() {
						for {
							if _, err := x.Write(tile); err != nil {
								return
							}
						}
					})
					wait.Go(func() {
						defer x.Reset(0)
						var got checker
						for {
							select {
							case <-stop:
								return
							case <-time.After(50 * time.Millisecond):
							}
							if _, err := io.CopyN(&got, y, int64(c.rate/20)); err != nil {
								t.Error(err)
							}
						}
					})
				}
				<-time.After(10 * time.Second)
				x, y := streams(t, s, r)
				start := time.Now()
				wait.Go(func() {
					if _, err := x.Write(make([]byte, size)); err != nil {
						t.Error(err)
					}
				})
				if _, err := io.CopyN(io.Discard, y, size); err != nil {
					t.Error(err)
				}
				took := time.Since(start)
				t.Logf("took %v", took)
				if c.streams == 0 {
					base = took
				}
				if took > base*3/2 { // 64 unread ones leave a new stream 4 KiB to begin with
					t.Errorf("took %v, and without the others %v", took, base)
				}
				close(stop)
				wait.Wait()
			})
		})
	}
}

// A stream of which nothing is read for a while is opened anew, once, in case the peer has lost track of it; what was
// written is read whole all the same.
func TestUnreadStreamIsOpenedAnew(t *testing.T) { // C9
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		x, y := streams(t, a.dial(b), b.session(a))
		if _, err := x.Write(tile[:10_000]); err != nil {
			t.Fatal(err)
		}
		_ = x.CloseWrite()
		<-time.After(5 * time.Second)
		anew, last := 0, x.Carrier()
		for range 60 {
			<-time.After(time.Second)
			if now := x.Carrier(); now != last {
				anew, last = anew+1, now
			}
		}
		if anew != 1 {
			t.Errorf("opened anew %d times, want once", anew)
		}
		if got, err := io.ReadAll(y); err != nil || !bytes.Equal(got, tile[:10_000]) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}
