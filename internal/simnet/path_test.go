package simnet_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
)

var hostC = netip.MustParseAddr("192.0.2.3")

// wantCounts checks the counters, and that every packet has one fate, once nothing is under way.
func wantCounts(t *testing.T, n *simnet.Net, want map[simnet.Fate]uint64) {
	t.Helper()
	<-time.After(time.Minute)
	var begun, ended uint64
	for _, f := range []simnet.Fate{
		simnet.Sent, simnet.Duplicated, simnet.Delivered, simnet.Lost, simnet.Blackholed, simnet.Filtered,
		simnet.Unrouted, simnet.Overflowed,
	} {
		got := n.Count(f)
		if w, ok := want[f]; ok && got != w {
			t.Errorf("%d %s, want %d", got, f, w)
		}
		if f == simnet.Sent || f == simnet.Duplicated {
			begun += got
		} else {
			ended += got
		}
	}
	if begun != ended {
		t.Errorf("%d packets begun, %d ended", begun, ended)
	}
}

func TestBlackholeIsOneWayBetweenTwoHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		n.AddHost(hostB, simnet.Link{}, nil)
		n.AddHost(hostC, simnet.Link{}, nil)
		n.AddHost(hostA, simnet.Link{}, n.AddNAT(wan, simnet.FullCone, time.Minute))
		a, b, c := listen(t, n, hostA, 1), listen(t, n, hostB, 1), listen(t, n, hostC, 1)
		send(t, a, b.LocalAddr(), "before")
		_, mapped := receive(t, b, time.Second)

		n.Blackhole(hostA, hostB, true)
		send(t, a, b.LocalAddr(), "dropped")
		if got, _ := receive(t, b, time.Second); got != "" {
			t.Errorf("got %q out of a black hole", got)
		}
		send(t, b, mapped, "back")
		if got, _ := receive(t, a, time.Second); got != "back" {
			t.Error("the other way is dropped too")
		}
		send(t, a, c.LocalAddr(), "third")
		if got, _ := receive(t, c, time.Second); got != "third" {
			t.Error("another host's packets are dropped too")
		}
		n.Blackhole(hostA, hostB, false)
		send(t, a, b.LocalAddr(), "after")
		if got, _ := receive(t, b, time.Second); got != "after" {
			t.Error("the black hole does not end")
		}
		wantCounts(t, n, map[simnet.Fate]uint64{simnet.Sent: 5, simnet.Blackholed: 1, simnet.Delivered: 4})
	})
}

func TestMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		n.AddHost(hostA, simnet.Link{Delay: time.Second}, nil)
		n.AddHost(hostB, simnet.Link{Delay: time.Second}, nil)
		a, b := listen(t, n, hostA, 1), listen(t, n, hostB, 1)
		old := a.LocalAddr()
		send(t, b, old, "in the core")
		<-time.After(1500 * time.Millisecond)
		send(t, b, old, "before the core")
		if err := n.Move(hostA, hostC); err != nil {
			t.Fatal(err)
		}
		if got := a.LocalAddr().String(); got != "192.0.2.3:1" {
			t.Errorf("the connection is at %s", got)
		}
		if got, _ := receive(t, a, time.Minute); got != "" {
			t.Errorf("%q for the old address arrived", got)
		}
		send(t, a, b.LocalAddr(), "from there")
		if got, from := receive(t, b, time.Minute); got != "from there" || from.String() != "192.0.2.3:1" {
			t.Errorf("got %q from %v", got, from)
		}
		send(t, b, a.LocalAddr(), "to there")
		if got, _ := receive(t, a, time.Minute); got != "to there" {
			t.Error("nothing arrives at the new address")
		}
		wantCounts(t, n, map[simnet.Fate]uint64{simnet.Unrouted: 2, simnet.Delivered: 2})

		if err := n.Move(hostA, wan); !errors.Is(err, simnet.ErrNoHost) {
			t.Errorf("moving a host that has left: %v", err)
		}
		if err := n.Move(hostC, hostB); !errors.Is(err, simnet.ErrAddrInUse) {
			t.Errorf("moving onto another host: %v", err)
		}
		if _, err := n.Listen(netip.AddrPortFrom(hostC, 1)); !errors.Is(err, simnet.ErrAddrInUse) {
			t.Errorf("listening where a moved connection is: %v", err)
		}
		_ = a.Close()
		if c, err := n.Listen(netip.AddrPortFrom(hostC, 1)); err != nil {
			t.Errorf("a moved connection does not free its address: %v", err)
		} else {
			_ = c.Close()
		}
	})
}

// What the outside sees of a host behind a NAT: a rebinding is another port, a renumbering another address, and
// a move inside another port of the same address.
func TestNATChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		nat := n.AddNAT(wan, simnet.PortRestricted, time.Minute)
		n.AddHost(hostA, simnet.Link{}, nat)
		n.AddHost(hostB, simnet.Link{}, nil)
		a, b := listen(t, n, hostA, 1), listen(t, n, hostB, 1)
		seen := func() *net.UDPAddr {
			t.Helper()
			send(t, a, b.LocalAddr(), "out")
			_, from := receive(t, b, time.Second)
			send(t, b, from, "back")
			if got, _ := receive(t, a, time.Second); got != "back" {
				t.Fatalf("no way back to %v", from)
			}
			return from.(*net.UDPAddr)
		}
		first := seen()
		if again := seen(); again.String() != first.String() {
			t.Errorf("a mapping in use changed from %v to %v", first, again)
		}
		nat.Rebind()
		rebound := seen()
		if !rebound.IP.Equal(first.IP) || rebound.Port == first.Port {
			t.Errorf("rebinding changed %v to %v, want the port alone", first, rebound)
		}
		public := netip.MustParseAddr("203.0.113.2")
		if err := nat.SetPublic(public); err != nil {
			t.Fatal(err)
		}
		send(t, b, rebound, "stale")
		if got, _ := receive(t, a, time.Second); got != "" {
			t.Errorf("%q came through the old address", got)
		}
		if now := seen(); now.AddrPort().Addr().Unmap() != public || now.Port != rebound.Port {
			t.Errorf("renumbering changed %v to %v, want the address alone", rebound, now)
		}
		if err := n.Move(hostA, netip.MustParseAddr("10.0.0.9")); err != nil {
			t.Fatal(err)
		}
		if now := seen(); now.AddrPort().Addr().Unmap() != public || now.Port == rebound.Port {
			t.Errorf("a move inside changed %v to %v, want the port alone", rebound, now)
		}
		wantCounts(t, n, map[simnet.Fate]uint64{simnet.Unrouted: 1})
		if err := nat.SetPublic(hostB); !errors.Is(err, simnet.ErrAddrInUse) {
			t.Errorf("renumbering onto a host: %v", err)
		}
	})
}

// Ports are used again, but not while they are mapped.
func TestNATPortsAreFinite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		n.AddHost(hostA, simnet.Link{}, n.AddNAT(wan, simnet.Symmetric, time.Minute))
		n.AddHost(hostB, simnet.Link{}, nil)
		const ports = 1<<16 - 40_000
		for round := range 2 {
			a := listen(t, n, hostA, uint16(1+round))
			for i := range ports + 10 {
				send(t, a, net.UDPAddrFromAddrPort(netip.AddrPortFrom(hostB, uint16(1+i))), "x")
			}
			<-time.After(time.Second)
			if got, want := n.Count(simnet.Filtered), uint64(10*(round+1)); got != want {
				t.Errorf("round %d: %d packets found no port, want %d", round, got, want)
			}
			<-time.After(2 * time.Minute)
		}
	})
}

func TestCountersAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		n.AddHost(hostA, simnet.Link{Loss: 0.1, Dup: 0.1, Corrupt: 0.1, Jitter: time.Second}, nil)
		n.AddHost(hostB, simnet.Link{Loss: 0.1}, nil)
		a, b := listen(t, n, hostA, 1), listen(t, n, hostB, 1)
		for range 15_000 {
			send(t, a, b.LocalAddr(), "x")
			send(t, a, net.UDPAddrFromAddrPort(netip.AddrPortFrom(hostB, 9)), "")
		}
		wantCounts(t, n, map[simnet.Fate]uint64{simnet.Sent: 30_000, simnet.Delivered: 10_000})
		for _, f := range []simnet.Fate{simnet.Duplicated, simnet.Lost, simnet.Unrouted, simnet.Overflowed} {
			if n.Count(f) == 0 {
				t.Errorf("none %s", f)
			}
		}
	})
}
