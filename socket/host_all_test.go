package socket_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/socket"
)

// crowd is a hub and its peers, each with a session. They are not attached yet.
func crowd(w *world, n int, change ...func(*socket.Config)) (hub *node, peers []*node) {
	w.t.Helper()
	hub = w.node("hub", change...)
	for i := range n {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), 4000)
		p := w.host(fmt.Sprint("peer", i), at)
		p.dial(hub)
		peers = append(peers, p)
	}
	hub.await("sessions missing", func() bool { return len(hub.ups) == n })
	return hub, peers
}

// C13: a block for all of a thousand sessions reaches every one, though one of them does not read and its buffer is
// full: it alone fails, when the time is over, and holds up nobody.
func TestSendAll(t *testing.T) {
	n := 1000
	if testing.Short() || raceEnabled {
		n = 50
	}
	inWorld(t, func(w *world) {
		hub, peers := crowd(w, n-1)
		for _, p := range peers {
			p.attach()
		}
		deaf := w.unattached("deaf")
		s := hub.dial(deaf)
		for _, size := range []int{60_000, 0} { // until not even a small one has room
			for s.TrySend(7, make([]byte, size)) == nil {
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		start := time.Now()
		type result struct {
			sent int
			err  error
		}
		done := make(chan result, 1)
		go func() {
			sent, err := hub.SendAll(ctx, 7, []byte("hear"), nil)
			done <- result{sent, err}
		}()
		for _, p := range peers {
			p.await("a peer has not heard", func() bool { return slices.Equal(p.blocks, []string{"hear"}) })
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("the others waited %v", took)
		}
		r := <-done
		if r.sent != n-1 || time.Since(start) != 5*time.Second {
			t.Errorf("%d sent, %v after %v", r.sent, r.err, time.Since(start))
		}
		var e *socket.Error
		if !errors.As(r.err, &e) || e.Code != socket.Timeout || e.Peer != deaf.LocalID() {
			t.Errorf("got %v", r.err)
		}
	})
}

// C13: some decides who gets it, each is asked once, and a large block goes to all at once.
func TestSendSome(t *testing.T) {
	inWorld(t, func(w *world) {
		hub, peers := crowd(w, 6)
		for _, p := range peers {
			p.attach()
		}
		chosen := map[id]bool{peers[1].LocalID(): true, peers[4].LocalID(): true}
		asked := 0
		start := time.Now()
		sent, err := hub.SendAll(context.Background(), 0, make([]byte, 100_000), func(s *socket.Session) bool {
			asked++
			return chosen[s.Peer()]
		})
		if sent != 2 || err != nil || asked != 6 {
			t.Errorf("%d sent, %d asked, %v", sent, asked, err)
		}
		if took := time.Since(start); took > 10*rtt {
			t.Errorf("took %v", took)
		}
		for _, p := range peers {
			if got := len(p.received()) == 1; got != chosen[p.LocalID()] {
				t.Errorf("heard: %v", got)
			}
		}
		if sent, err := hub.SendAll(context.Background(), 0, nil, func(*socket.Session) bool { return false }); sent != 0 || err != nil {
			t.Errorf("to nobody: %d, %v", sent, err)
		}
		_ = hub.Close()
		_, err = hub.SendAll(context.Background(), 0, nil, nil)
		wantCode(t, err, socket.Closed)
	})
}

// B13: with Config.SpreadRate a block goes out evenly in time, one peer after the other, and whoever was not reached
// when ctx ended has failed; also when the host is closed in the midst of it.
func TestSendAllSpread(t *testing.T) {
	inWorld(t, func(w *world) {
		const n = 40
		hub, peers := crowd(w, n, func(c *socket.Config) { c.SpreadRate = 10 })
		start := time.Now()
		var mu sync.Mutex
		var heard []time.Duration
		for _, p := range peers {
			p.Attach(func(id, uint64, uint64) {}, func(id, uint64, []byte) {
				mu.Lock()
				defer mu.Unlock()
				heard = append(heard, time.Since(start))
			}, func(id, uint64, error) {})
		}
		if sent, err := hub.SendAll(context.Background(), 0, []byte("x"), nil); sent != n || err != nil {
			t.Fatalf("%d sent, %v", sent, err)
		}
		<-time.After(time.Second)
		mu.Lock()
		times := slices.Sorted(slices.Values(heard))
		mu.Unlock()
		if len(times) != n {
			t.Errorf("%d have heard", len(times))
		}
		for i, d := range times {
			if due := time.Duration(i) * 100 * time.Millisecond; d < due-10*time.Millisecond || d > due+110*time.Millisecond {
				t.Errorf("peer %d heard after %v, want %v", i, d, due)
			}
		}

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		sent, err := hub.SendAll(ctx, 0, []byte("y"), nil)
		wantCode(t, err, socket.Timeout)
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || sent < 9 || sent > 12 || sent+len(joined.Unwrap()) != n {
			t.Errorf("%d sent, %v", sent, err)
		}

		time.AfterFunc(time.Second, func() { _ = hub.Close() })
		closing := time.Now()
		_, err = hub.SendAll(context.Background(), 0, []byte("z"), nil)
		wantCode(t, err, socket.Closed)
		if took := time.Since(closing); took > 2*time.Second {
			t.Errorf("a host that is closed goes on sending for %v", took)
		}
	})
}
