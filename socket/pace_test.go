package socket_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/internal/simnet"
	"parley/socket"
)

func wantSeconds(t *testing.T, what string, start time.Time, want float64) {
	t.Helper()
	if d := time.Since(start).Seconds(); d < 0.9*want || d > 1.1*want {
		t.Errorf("%s: took %.2f s, want %.2f", what, d, want)
	}
}

// fill writes n bytes to a stream and returns when the other end has read them.
func fill(t *testing.T, x, y io.ReadWriter, n int) {
	t.Helper()
	go func() {
		if _, err := x.Write(make([]byte, n)); err != nil {
			t.Error(err)
		}
	}()
	if _, err := io.ReadFull(y, make([]byte, n)); err != nil {
		t.Error(err)
	}
}

// B13: a limit holds for a host, a peer and a transfer, for everything that is sent, and can be changed.
func TestRate(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a", func(c *socket.Config) { c.Rate = 100_000 }), w.node("b")
		s := a.dial(b)
		x, y := streams(t, s, b.session(a))
		measure := func(what string, want float64) {
			t.Helper()
			start := time.Now()
			fill(t, x, y, 1_000_000)
			wantSeconds(t, what, start, want)
		}
		measure("host", 10)
		start := time.Now()
		if err := s.Send(context.Background(), 0, make([]byte, 1_000_000)); err != nil {
			t.Error(err)
		}
		wantSeconds(t, "large block", start, 10)
		start = time.Now()
		for i := range 20 {
			if err := s.Send(context.Background(), uint64(i), make([]byte, 50_000)); err != nil {
				t.Error(err)
			}
		}
		b.await("blocks", func() bool { return len(b.blocks) == 21 })
		wantSeconds(t, "small blocks", start, 10)
		s.SetRate(50_000)
		measure("session", 20)
		x.SetRate(25_000)
		measure("stream", 40)
		a.SetRate(10_000)
		time.AfterFunc(20*time.Second, func() { a.SetRate(0) })
		measure("host again, then the stream", 20+800_000/25_000)
		x.SetRate(0)
		s.SetRate(-1)
		start = time.Now()
		fill(t, x, y, 1_000_000)
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("without a limit: %v", d)
		}
	})
}

// B13, C9: what waits for a limit notices that it is not needed any more, or is needed elsewhere.
func TestRateWaitEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		const rate = 50_000
		a, b := w.node("a", func(c *socket.Config) { c.Rate = rate }), w.node("b")
		s := a.dial(b)
		x, y := streams(t, s, b.session(a))
		var others []*socket.Stream
		for range 30 {
			o, _ := streams(t, s, b.session(a))
			_, _ = o.Write(make([]byte, 500_000))
			others = append(others, o)
		}
		<-time.After(time.Second)
		for i, o := range others {
			if i%2 == 0 {
				o.Reset(1)
			} else {
				_ = o.Close()
				_, _ = o.Abandon(1)
			}
		}
		<-time.After(2 * time.Second)
		start := time.Now()
		fill(t, x, y, 10*rate) // those take nothing any more
		wantSeconds(t, "after resets", start, 10)

		start = time.Now()
		go func() {
			for range 8 { // each may send once more what was on its way: a second's worth at most
				<-time.After(time.Second)
				a.KillLink(b.LocalID(), 0)
			}
		}()
		fill(t, x, y, 20*rate)
		if d := time.Since(start).Seconds(); d < 18 || d > 25 {
			t.Errorf("over 8 connections: %.2f s, want 20 to 25", d)
		}

		_, _ = x.Write(make([]byte, 1_000_000))
		start = time.Now()
		_ = a.Close()
		if d := time.Since(start); d > time.Second {
			t.Errorf("closing took %v", d)
		}
	})
}

// delays sends small blocks, one each 10 ms, and returns the one-way delays of n of them, sorted.
func (n *node) delays(to *node, count int) (got []time.Duration) {
	n.w.t.Helper()
	to.mu.Lock()
	before := len(to.blocks)
	to.mu.Unlock()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	arrived := make(chan time.Duration, count)
	go func() {
		for seen := 0; seen < count; {
			to.mu.Lock()
			blocks, more, now := to.blocks[before+seen:], to.more, time.Now()
			to.mu.Unlock()
			for _, b := range blocks {
				arrived <- time.Duration(now.UnixNano() - int64(binary.BigEndian.Uint64([]byte(b))))
				seen++
			}
			<-more
		}
	}()
	for i := range count {
		<-tick.C
		b := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))
		b = append(b, make([]byte, 192)...)
		if err := n.Send(context.Background(), to.LocalID(), 0, uint64(i), b); err != nil {
			n.w.t.Error(err)
		}
	}
	for range count {
		got = append(got, <-arrived)
	}
	slices.Sort(got)
	return got
}

// B13: small blocks go ahead of bulk: where a limit keeps the queue on our side they hardly notice it; where the
// queue is the network's, they wait in that.
func TestBulkYields(t *testing.T) {
	inWorld(t, func(w *world) {
		const rate = 10_000_000 // bits per second
		a, b := w.node("a"), w.node("b")
		w.net.SetLink(netip.MustParseAddrPort(a.addr).Addr(), func(up, _ *simnet.Link) { up.Rate, up.Queue = rate, 125_000 })
		s := a.dial(b)
		x, y := streams(t, s, b.session(a))
		x.SetPriority(socket.PriorityBackground)
		p99 := func(name string) time.Duration {
			d := a.delays(b, 1000)
			t.Logf("%s: median %v, 99th percentile %v", name, d[len(d)/2], d[len(d)*99/100])
			return d[len(d)*99/100]
		}
		base := p99("alone")
		bulk := make([]byte, 1<<20)
		_, _ = rand.Read(bulk)
		var over sync.WaitGroup
		flood := func(x, y *socket.Stream) {
			over.Go(func() { _, _ = io.Copy(io.Discard, y) })
			over.Go(func() {
				for {
					if _, err := x.Write(bulk); err != nil {
						return
					}
				}
			})
		}
		flood(x, y)
		<-time.After(5 * time.Second)
		free := p99("beside bulk")
		s.SetRate(rate / 8 * 85 / 100)
		for range 9 { // blocks wait for no more than the piece of one of them
			flood(streams(t, s, b.session(a)))
		}
		<-time.After(5 * time.Second)
		limited := p99("beside bulk that is held to 85 % of the line")
		if limited > 3*base {
			t.Errorf("with a limit the 99th percentile is %v, alone %v", limited, base)
		}
		if free > base+120*time.Millisecond+rtt { // the network's queue, and a packet lost in it
			t.Errorf("without a limit the 99th percentile is %v, alone %v", free, base)
		}
		_ = a.Close()
		over.Wait()
	})
}
