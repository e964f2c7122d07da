package simnet_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
)

func faultyNet() (*simnet.Net, []netip.Addr) {
	n := simnet.New(1)
	n.AddHost(hostA, simnet.Link{}, n.AddNAT(wan, simnet.FullCone, time.Hour))
	n.AddHost(hostB, simnet.Link{}, nil)
	n.AddHost(hostC, simnet.Link{}, nil)
	return n, []netip.Addr{hostA, hostB, hostC}
}

func TestFaultsFollowFromTheSeed(t *testing.T) {
	n, hosts := faultyNet()
	schedule := func(seed uint64) string { return fmt.Sprint(n.Faults(seed, hosts, time.Hour)) }
	first := schedule(1)
	if schedule(1) != first {
		t.Error("one seed, two schedules")
	}
	if schedule(2) == first {
		t.Error("two seeds, one schedule")
	}
	if got := n.Faults(1, nil, time.Hour); got != nil {
		t.Errorf("faults of nothing: %v", got)
	}
	for _, f := range n.Faults(1, hosts[1:2], time.Hour) {
		if f.Kind != simnet.AddressChange {
			t.Errorf("a host without NAT or company: %s", f)
		}
	}
}

func TestFaultsKeepTheirBounds(t *testing.T) {
	n, hosts := faultyNet()
	const long = 2 * time.Hour
	faults := n.Faults(3, hosts, long)
	kinds := map[simnet.FaultKind]int{}
	var total time.Duration
	for _, f := range faults {
		kinds[f.Kind]++
		total += f.After + f.For
		instant := f.Kind == simnet.AddressChange || f.Kind == simnet.Rebinding
		if f.After < 50*time.Millisecond || f.After > 5*time.Second || instant != (f.For == 0) ||
			!instant && (f.For < 50*time.Millisecond || f.For > 5*time.Second || f.A == f.B) {
			t.Errorf("out of bounds: %s", f)
		}
	}
	if total > long || total < long-10*time.Second {
		t.Errorf("%d faults take %v of %v", len(faults), total, long)
	}
	for _, k := range []simnet.FaultKind{
		simnet.Cut, simnet.CutOneWay, simnet.BurstLoss, simnet.AddressChange, simnet.Rebinding,
	} {
		if kinds[k] < len(faults)/20 {
			t.Errorf("%d of %d faults are %s", kinds[k], len(faults), k)
		}
	}
}

// Each fault does what it says while it lasts, and nothing of it remains.
func TestPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, hosts := faultyNet()
		conns := map[netip.Addr]*simnet.Conn{}
		for _, h := range hosts {
			conns[h] = listen(t, n, h, 1)
		}
		// passed counts how many of 100 packets from a to b arrive; packets for a NAT's inside come from nowhere.
		passed := func(a, b netip.Addr) (got int) {
			ca, cb := conns[a], conns[b]
			to := cb.LocalAddr()
			if cb == conns[hostA] || ca == nil { // ask the NAT for the outside address
				send(t, cb, ca.LocalAddr(), "hello")
				if _, to = receive(t, ca, time.Millisecond); to == nil {
					return -1
				}
			}
			for range 100 {
				send(t, ca, to, "x")
			}
			for {
				if s, _ := receive(t, cb, time.Millisecond); s == "" {
					return got
				}
				got++
			}
		}
		faults := n.Faults(1, hosts[1:], 10*time.Minute)
		faults = append(faults, simnet.Fault{Kind: simnet.Rebinding, A: hostA})
		var begun, over []simnet.Fault
		err := n.Play(t.Context(), faults,
			func(f simnet.Fault) {
				begun = append(begun, f)
				switch f.Kind {
				case simnet.Cut:
					if passed(f.A, f.B)+passed(f.B, f.A) != 0 {
						t.Errorf("%s: something passes", f)
					}
				case simnet.CutOneWay:
					if passed(f.A, f.B) != 0 || passed(f.B, f.A) != 100 {
						t.Errorf("%s: not one way", f)
					}
				case simnet.BurstLoss:
					if got := passed(f.A, f.B); got == 0 && f.Loss < 0.85 || got == 100 {
						t.Errorf("%s: %d %% pass", f, got)
					}
				case simnet.AddressChange:
					conns[f.To] = conns[f.A]
					delete(conns, f.A)
				case simnet.Rebinding:
				}
			},
			func(f simnet.Fault) {
				over = append(over, f)
				if f.B.IsValid() && passed(f.A, f.B)+passed(f.B, f.A) != 200 {
					t.Errorf("%s: not over", f)
				}
			})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(begun, faults) || !slices.Equal(over, faults) {
			t.Errorf("%d faults, %d begun, %d over", len(faults), len(begun), len(over))
		}
	})
}

func TestPlayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := faultyNet()
		b, c := listen(t, n, hostB, 1), listen(t, n, hostC, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		faults := []simnet.Fault{{Kind: simnet.Cut, A: hostB, B: hostC, For: time.Hour}, {Kind: simnet.Cut, A: hostB, B: hostC}}
		start, ended := time.Now(), 0
		err := n.Play(ctx, faults, nil, func(simnet.Fault) { ended++ })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute || ended != 1 {
			t.Errorf("%v after %v, %d faults", err, time.Since(start), ended)
		}
		send(t, b, c.LocalAddr(), "healed")
		if got, _ := receive(t, c, time.Second); got != "healed" {
			t.Error("the fault outlives the play")
		}
		for _, f := range []simnet.Fault{{Kind: simnet.AddressChange, A: wan, To: hostA}, {Kind: simnet.Rebinding, A: hostB}} {
			if err := n.Play(t.Context(), []simnet.Fault{f}, nil, nil); !errors.Is(err, simnet.ErrNoHost) {
				t.Errorf("%s: %v", f, err)
			}
		}
	})
}
