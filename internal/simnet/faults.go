package simnet

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"
)

// FaultKind is a kind of fault on a path.
type FaultKind string

// The kinds of faults.
const (
	Cut           FaultKind = "cut"            // nothing passes between A and B
	CutOneWay     FaultKind = "cut one way"    // nothing passes from A to B
	BurstLoss     FaultKind = "burst loss"     // Loss of the packets between A and B vanish
	AddressChange FaultKind = "address change" // A moves to To, in an instant
	Rebinding     FaultKind = "rebinding"      // the NAT of A forgets its mappings, in an instant
)

// Bounds of the faults that Faults makes.
const (
	shortestFault = 50 * time.Millisecond
	longestFault  = 5 * time.Second
	leastBurst    = 0.2 // loss of a burst
	mostBurst     = 0.9
)

// Fault is one fault of a schedule. Which of its fields matter depends on Kind.
type Fault struct {
	Kind  FaultKind
	After time.Duration // from the end of the fault before, or the start, to the beginning of this one
	For   time.Duration // how long it lasts; 0 for those of an instant
	A, B  netip.Addr    // the hosts, by the inside addresses they have then
	To    netip.Addr    // where A moves
	Loss  float64       // probability, 0..1
}

// String says what a failing test should print.
func (f Fault) String() string {
	s := fmt.Sprintf("%v later, %s of %v", f.After, f.Kind, f.A)
	switch f.Kind {
	case AddressChange:
		return fmt.Sprintf("%s to %v", s, f.To)
	case Rebinding:
		return s
	case BurstLoss:
		return fmt.Sprintf("%s and %v for %v (%.0f %%)", s, f.B, f.For, 100*f.Loss)
	case Cut, CutOneWay:
	}
	return fmt.Sprintf("%s and %v for %v", s, f.B, f.For)
}

// Faults is a schedule of random faults between hosts that fills d, one at a time: outages of 50 ms to 5 s, short
// ones as likely as long ones by order of magnitude, with pauses of the same distribution, so that some strike
// before recovery from the one before. Equal arguments on an equal network give an equal schedule. Rebinding
// befalls hosts behind a NAT only, and faults of a path need two hosts. New addresses are of the ranges for
// benchmarks: 198.18.0.0/15 (RFC 2544), 2001:2::/48 (RFC 5180).
func (n *Net) Faults(seed uint64, hosts []netip.Addr, d time.Duration) []Fault {
	r := rand.New(rand.NewPCG(seed, 0xfa)) //nolint:gosec // simulation wants repeatable numbers
	span := func() time.Duration {
		x := float64(shortestFault) * math.Pow(float64(longestFault)/float64(shortestFault), r.Float64())
		return time.Duration(x).Round(time.Millisecond)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	at := append([]netip.Addr(nil), hosts...) // where each is by then
	natted := make([]bool, len(at))
	for i, a := range at {
		natted[i] = n.hosts[a] != nil && n.hosts[a].nat != nil
	}
	var faults []Fault
	for fresh := 0; len(at) > 0; {
		i := r.IntN(len(at))
		kinds := []FaultKind{AddressChange}
		if natted[i] {
			kinds = append(kinds, Rebinding)
		}
		f := Fault{A: at[i], After: span()}
		if len(at) > 1 {
			kinds = append(kinds, Cut, CutOneWay, BurstLoss)
			f.B = at[(i+1+r.IntN(len(at)-1))%len(at)]
		}
		switch f.Kind = kinds[r.IntN(len(kinds))]; f.Kind {
		case AddressChange:
			f.B = netip.Addr{}
			for f.To = freshAddr(f.A, fresh); n.taken(f.To); f.To = freshAddr(f.A, fresh) {
				fresh++
			}
			fresh++
			at[i] = f.To
		case Rebinding:
			f.B = netip.Addr{}
		case BurstLoss:
			f.For, f.Loss = span(), leastBurst+(mostBurst-leastBurst)*r.Float64()
		case Cut, CutOneWay:
			f.For = span()
		}
		if d -= f.After + f.For; d < 0 {
			break
		}
		faults = append(faults, f)
	}
	return faults
}

// freshAddr is the nth address of the range for benchmarks, of the family of a.
func freshAddr(a netip.Addr, n int) netip.Addr {
	n++ // the first is the network's own
	if a.Is4() {
		return netip.AddrFrom4([4]byte{198, 18 + byte(n>>16)&1, byte(n >> 8), byte(n)})
	}
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0, 2, 12: byte(n >> 24), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)})
}

// Play carries out a schedule in the time of its caller, a bubble's say. begun and over, if not nil, are called
// after each fault has begun and after it has ended, those of an instant included; the schedule waits while they
// run, so that over may await recovery. Play returns when the schedule is done or ctx is, with the last fault
// ended; its error is that of ctx, or of a fault that does not fit the network.
func (n *Net) Play(ctx context.Context, faults []Fault, begun, over func(Fault)) error {
	for _, f := range faults {
		if err := wait(ctx, f.After); err != nil {
			return err
		}
		if err := n.begin(f); err != nil {
			return fmt.Errorf("simnet: %s: %w", f, err)
		}
		if begun != nil {
			begun(f)
		}
		err := wait(ctx, f.For)
		n.setFault(f, 0)
		if over != nil {
			over(f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *Net) begin(f Fault) error {
	switch f.Kind {
	case AddressChange:
		return n.Move(f.A, f.To)
	case Rebinding:
		n.mu.Lock()
		defer n.mu.Unlock()
		h := n.hosts[f.A]
		if h == nil || h.nat == nil {
			return ErrNoHost
		}
		h.nat.forget()
	case BurstLoss:
		n.setFault(f, f.Loss)
	case Cut, CutOneWay:
		n.setFault(f, 1)
	}
	return nil
}

// setFault sets the loss of the paths that a fault is about.
func (n *Net) setFault(f Fault, p float64) {
	switch f.Kind {
	case Cut, BurstLoss:
		n.setLoss(path{f.A, f.B}, p)
		n.setLoss(path{f.B, f.A}, p)
	case CutOneWay:
		n.setLoss(path{f.A, f.B}, p)
	case AddressChange, Rebinding:
	}
}

func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
