package socket_test

import (
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
}

// slowReaders opens 8 streams from a to b, of which b never reads the first few, and moves 4 MiB over each of the
// others while blocks go to and fro.
func slowReaders(w *world, mute int, limits func(*socket.Config)) (got slowReading) {
	const size = 4 << 20
	t := w.t
	t.Helper()
	a, b := w.unattached("a", limits), w.unattached("b", limits)
	back := make(chan int, 1<<10)
	nothing, over := func(id, uint64, uint64) {}, func(id, uint64, error) {}
	a.Attach(nothing, func(_ id, _ uint64, x []byte) { back <- int(binary.BigEndian.Uint64(x)) }, over) //nolint:gosec // small
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
	r, ok := b.Session(a.LocalID())
	if !ok {
		t.Fatal("no session")
	}
	before := heap()
	var fill sync.WaitGroup
	full := make([]byte, 32<<10)
	var unread []*socket.Stream
	for range mute {
		x, _ := streams(t, s, r)
		unread = append(unread, x)
		_ = x.SetWriteDeadline(time.Now().Add(30 * time.Second))
		fill.Go(func() {
			for {
				if _, err := x.Write(full); err != nil {
					return
				}
			}
		})
	}
	fill.Wait()
	for _, x := range unread {
		got.held = max(got.held, x.Written()-x.Acknowledged())
	}
	if now := heap(); now > before {
		got.grown = now - before
	}

	start := time.Now()
	var rest sync.WaitGroup
	for range 8 - mute {
		x, y := streams(t, s, r)
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
		if err := s.Send(context.Background(), 0, binary.BigEndian.AppendUint64(nil, uint64(i))); err != nil { //nolint:gosec // an index
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

// A peer that does not read one of 8 streams (R22) delays neither the others nor blocks, and what that costs both
// sides together is what the settings allow. With two or more, what they hold uses up the connection's own
// window.
func TestSlowReader(t *testing.T) {
	const buffer, window = 2 << 20, 1 << 20
	limits := func(c *socket.Config) { c.StreamBuffer, c.StreamWindow = buffer, window }
	got := map[int]slowReading{}
	for _, mute := range []int{0, 1} {
		t.Run(fmt.Sprint(mute), func(t *testing.T) {
			watchdog(t)
			inWorld(t, func(w *world) { got[mute] = slowReaders(w, mute, limits) })
			g, base := got[mute], got[0]
			t.Logf("%+v", g)
			if g.took > 2*base.took || g.p99 > 2*base.p99 {
				t.Errorf("the other streams took %v, and blocks %v: without any that is not read %v and %v", g.took, g.p99, base.took, base.p99)
			}
			if g.held > buffer {
				t.Errorf("%d bytes of one stream are held, more than its %d", g.held, buffer)
			}
			if most := uint64(mute*(buffer+window) + 256<<10); g.grown > most { //nolint:gosec // small
				t.Errorf("the heap has grown by %d bytes, more than %d", g.grown, most)
			}
		})
	}
}
