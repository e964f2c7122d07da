package memory_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"parley/socket/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t testing.TB, n *memory.Network) net.PacketConn {
	t.Helper()
	c, err := n.Listen(netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestPackets: whole packets, in order, from whom they say, the sender's buffer free at once (T4).
func TestPackets(t *testing.T) {
	n := memory.NewNetwork()
	a, b := listen(t, n), listen(t, n)
	text := []byte("zero")
	for i, size := range []int{4, 0, 1200, 2048, 2049, 65_507} {
		want := bytes.Repeat([]byte{byte(i)}, size)
		text = append(text[:0], want...)
		if sent, err := a.WriteTo(text, b.LocalAddr()); sent != size || err != nil {
			t.Fatal(sent, err)
		}
		clear(text)
	}
	buf := make([]byte, 1<<16)
	for i, size := range []int{4, 0, 1200, 2048, 2049, 65_507} {
		got, from, err := b.ReadFrom(buf)
		if err != nil || got != size || !bytes.Equal(buf[:got], bytes.Repeat([]byte{byte(i)}, size)) {
			t.Errorf("packet %d: %d bytes, %v", i, got, err)
		}
		if _, ok := from.(*net.UDPAddr); !ok || from.String() != a.LocalAddr().String() {
			t.Errorf("from %T %v", from, from)
		}
	}
	_, _ = a.WriteTo([]byte("too long"), b.LocalAddr())
	_, _ = a.WriteTo([]byte("next"), b.LocalAddr())
	if got, _, err := b.ReadFrom(buf[:3]); got != 3 || err != nil {
		t.Errorf("a small buffer: %d, %v", got, err)
	}
	if got, _, _ := b.ReadFrom(buf); string(buf[:got]) != "next" {
		t.Errorf("after what was cut off: %q", buf[:got])
	}
}

func TestAddresses(t *testing.T) {
	n := memory.NewNetwork()
	documentation := netip.MustParsePrefix("2001:db8::/32")
	sites := map[netip.Prefix]bool{}
	for range 100 {
		ap := listen(t, n).LocalAddr().(*net.UDPAddr).AddrPort()
		site := netip.PrefixFrom(ap.Addr(), 48).Masked()
		if !documentation.Contains(ap.Addr()) || sites[site] || ap.Port() == 0 {
			t.Fatalf("chosen: %v", ap)
		}
		sites[site] = true
	}
	for _, tc := range []struct {
		addr string
		want error
	}{
		{"192.0.2.1:1", nil},
		{"192.0.2.1:2", nil},
		{"192.0.2.1:1", syscall.EADDRINUSE},
		{"[::ffff:192.0.2.1]:1", syscall.EADDRINUSE},
		{"192.0.2.1:0", syscall.EADDRNOTAVAIL},
		{"0.0.0.0:1", syscall.EADDRNOTAVAIL},
	} {
		c, err := n.Listen(netip.MustParseAddrPort(tc.addr))
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.addr, err, tc.want)
		}
		if err == nil {
			defer c.Close()
		}
	}
	if _, err := n.Listen(netip.AddrPortFrom(netip.Addr{}, 1)); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("a port without address: %v", err)
	}
	other := memory.NewNetwork()
	c := listen(t, other)
	if _, err := n.Listen(netip.MustParseAddrPort("198.51.100.1:1")); err != nil {
		t.Error(err)
	}
	if _, err := c.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("198.51.100.1:1"))); err != nil {
		t.Errorf("to nobody: %v", err)
	}
}

// The queue that a peer can fill has its bounds, in packets and in bytes; what it drops is the newest, and once it
// is empty it holds as many again.
func TestFullQueueDrops(t *testing.T) {
	for _, tc := range []struct{ size, want int }{{1, 4096}, {65_507, 64}} {
		n := memory.NewNetwork()
		a, b := listen(t, n), listen(t, n)
		p, mark := make([]byte, tc.size), []byte("mark")
		for round := range 2 {
			for i := range 5000 {
				p[0] = byte(i)
				if _, err := a.WriteTo(p, b.LocalAddr()); err != nil {
					t.Fatal(err)
				}
			}
			buf := make([]byte, 1<<16)
			for i := range tc.want {
				got, _, err := b.ReadFrom(buf)
				if err != nil || got != tc.size || buf[0] != byte(i) {
					t.Fatalf("round %d: packet %d is %d, %v", round, i, buf[0], err)
				}
			}
			_, _ = a.WriteTo(mark, b.LocalAddr())
			if got, _, err := b.ReadFrom(buf); !bytes.Equal(buf[:got], mark) {
				t.Errorf("round %d: more than %d packets of %d bytes waited: %v", round, tc.want, tc.size, err)
			}
		}
	}
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory.NewNetwork()
		c := listen(t, n)
		read := func() (time.Duration, error) {
			start := time.Now()
			_, _, err := c.ReadFrom(nil)
			return time.Since(start), err
		}
		var op *net.OpError
		_ = c.SetDeadline(time.Now().Add(time.Second))
		for _, want := range []time.Duration{time.Second, 0} { // it stays past
			if d, err := read(); d != want || !errors.As(err, &op) || !op.Timeout() {
				t.Errorf("%v after %v", err, d)
			}
		}
		if _, err := c.WriteTo(nil, c.LocalAddr()); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a late write: %v", err)
		}
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := c.WriteTo(nil, c.LocalAddr()); err != nil {
			t.Errorf("a write in time: %v", err)
		}
		if d, err := read(); d != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("late, with a packet there: %v", err)
		}
		_ = c.SetReadDeadline(time.Time{})
		if _, err := read(); err != nil {
			t.Errorf("without deadline: %v", err)
		}
		// Moved while a read waits: later, then sooner.
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		time.AfterFunc(500*time.Millisecond, func() { _ = c.SetReadDeadline(time.Now().Add(time.Hour)) })
		time.AfterFunc(2*time.Second, func() { _ = c.SetReadDeadline(time.Now().Add(time.Second)) })
		if d, err := read(); d != 3*time.Second || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("moved: %v after %v", err, d)
		}
		_ = c.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
		if d, err := read(); d != time.Second || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ended by a deadline in the past: %v after %v", err, d)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory.NewNetwork()
		c, err := n.Listen(netip.AddrPort{})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Hour))
		at := c.LocalAddr().(*net.UDPAddr).AddrPort()
		read := make(chan error)
		for range 3 {
			go func() {
				_, _, err := c.ReadFrom(nil)
				read <- err
			}()
		}
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for range 3 {
			if err := <-read; !errors.Is(err, net.ErrClosed) {
				t.Errorf("a read that waited: %v", err)
			}
		}
		_, werr := c.WriteTo(nil, c.LocalAddr())
		for what, err := range map[string]error{"write": werr, "close": c.Close(), "deadline": c.SetDeadline(time.Time{})} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after close: %v", what, err)
			}
		}
		again, err := n.Listen(at)
		if err != nil {
			t.Fatalf("the address is not free: %v", err)
		}
		_ = again.Close()
	})
}

func TestWriteErrors(t *testing.T) {
	n := memory.NewNetwork()
	c := listen(t, n)
	if _, err := c.WriteTo(make([]byte, 65_508), c.LocalAddr()); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("too large: %v", err)
	}
	for _, to := range []net.Addr{nil, (*net.UDPAddr)(nil), &net.TCPAddr{}} {
		if _, err := c.WriteTo(nil, to); err == nil {
			t.Errorf("to a %T: no error", to)
		}
	}
}

// Many senders, two readers, deadlines that move, and a close in the middle.
func TestConcurrentUse(t *testing.T) {
	n := memory.NewNetwork()
	b := listen(t, n)
	const senders, each = 8, 400 // fewer than fill the queue
	var wg, readers sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	all := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			buf := make([]byte, 100)
			for {
				got, _, err := b.ReadFrom(buf)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				if err != nil {
					continue
				}
				mu.Lock()
				seen[string(buf[:got])] = true
				if len(seen) == senders*each {
					close(all)
				}
				mu.Unlock()
			}
		})
	}
	for s := range senders {
		wg.Go(func() {
			c := listen(t, n)
			for i := range each {
				_, _ = c.WriteTo(fmt.Appendf(nil, "%d/%d", s, i), b.LocalAddr())
				_ = b.SetReadDeadline(time.Now().Add(time.Duration(i%3) * time.Microsecond))
			}
			_ = b.SetReadDeadline(time.Time{})
		})
	}
	wg.Wait()
	_ = b.SetReadDeadline(time.Time{})
	<-all
	_ = b.Close()
	readers.Wait()
}
