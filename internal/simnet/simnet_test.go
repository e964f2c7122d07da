package simnet_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
)

var (
	hostA = netip.MustParseAddr("10.0.0.1")
	hostB = netip.MustParseAddr("192.0.2.1")
	wan   = netip.MustParseAddr("203.0.113.1")
)

func listen(t *testing.T, n *simnet.Net, a netip.Addr, port uint16) *simnet.Conn {
	t.Helper()
	c, err := n.Listen(netip.AddrPortFrom(a, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func send(t *testing.T, c *simnet.Conn, to net.Addr, text string) {
	t.Helper()
	if _, err := c.WriteTo([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}

// receive returns the next packet within d of virtual time, or "".
func receive(t *testing.T, c *simnet.Conn, d time.Duration) (string, net.Addr) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(d))
	b := make([]byte, 100)
	n, from, err := c.ReadFrom(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n]), from
}

func TestDelayAndDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		n.AddHost(hostA, simnet.Link{Delay: 10 * time.Millisecond}, nil)
		n.AddHost(hostB, simnet.Link{Delay: 15 * time.Millisecond}, nil)
		a, b := listen(t, n, hostA, 1), listen(t, n, hostB, 2)
		start := time.Now()
		send(t, a, b.LocalAddr(), "hello")
		if got, _ := receive(t, b, time.Second); got != "hello" {
			t.Fatalf("got %q", got)
		}
		if d := time.Since(start); d != 25*time.Millisecond {
			t.Errorf("took %v, want 25ms", d)
		}
		n.SetLink(hostA, func(up, _ *simnet.Link) { up.Down = true })
		send(t, a, b.LocalAddr(), "lost")
		if got, _ := receive(t, b, time.Hour); got != "" {
			t.Errorf("got %q over a line that is down", got)
		}
	})
}

func TestLossRateIsSeeded(t *testing.T) {
	count := func(seed uint64) (got int) {
		synctest.Test(t, func(t *testing.T) {
			n := simnet.New(seed)
			n.AddHost(hostA, simnet.Link{Loss: 0.2}, nil)
			n.AddHost(hostB, simnet.Link{}, nil)
			a, b := listen(t, n, hostA, 1), listen(t, n, hostB, 2)
			for range 1000 {
				send(t, a, b.LocalAddr(), "x")
			}
			for {
				if s, _ := receive(t, b, time.Second); s == "" {
					break
				}
				got++
			}
		})
		return got
	}
	one := count(7)
	if one < 740 || one > 860 {
		t.Errorf("%d of 1000 arrived at 20 %% loss", one)
	}
	if two := count(7); two != one {
		t.Errorf("same seed, %d then %d", one, two)
	}
}

func TestNATFilters(t *testing.T) {
	for _, tc := range []struct {
		kind              simnet.NATKind
		stranger, another bool // may another host, another port of the same host, answer?
	}{
		{simnet.FullCone, true, true},
		{simnet.AddressRestricted, false, true},
		{simnet.PortRestricted, false, false},
		{simnet.Symmetric, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := simnet.New(1)
			nat := n.AddNAT(wan, tc.kind, 30*time.Second)
			n.AddHost(hostA, simnet.Link{}, nat)
			n.AddHost(hostB, simnet.Link{}, nil)
			other := netip.MustParseAddr("192.0.2.2")
			n.AddHost(other, simnet.Link{}, nil)
			a, b := listen(t, n, hostA, 1), listen(t, n, hostB, 2)
			b2, s := listen(t, n, hostB, 3), listen(t, n, other, 2)
			send(t, a, b.LocalAddr(), "out")
			_, mapped := receive(t, b, time.Second)
			for _, try := range []struct {
				name string
				from *simnet.Conn
				want bool
			}{{"peer", b, true}, {"stranger", s, tc.stranger}, {"other port", b2, tc.another}} {
				send(t, try.from, mapped, "in")
				if got, _ := receive(t, a, time.Second); (got != "") != try.want {
					t.Errorf("kind %d: %s let in: %v, want %v", tc.kind, try.name, got != "", try.want)
				}
			}
			nat.Rebind()
			send(t, b, mapped, "stale")
			if got, _ := receive(t, a, time.Second); got != "" {
				t.Errorf("kind %d: mapping survived a rebinding", tc.kind)
			}
		})
	}
}

func TestCloseUnblocksRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		n.AddHost(hostA, simnet.Link{}, nil)
		a := listen(t, n, hostA, 1)
		done := make(chan error)
		go func() {
			_, _, err := a.ReadFrom(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		_ = a.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
		if _, err := n.Listen(netip.AddrPortFrom(hostA, 1)); err != nil {
			t.Errorf("address not freed: %v", err)
		}
	})
}
