package simnet

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Link is the condition of one direction of a host's access line. The zero Link is perfect.
type Link struct {
	Delay   time.Duration // added to every packet
	Jitter  time.Duration // uniformly random, added on top; packets overtake one another
	Loss    float64       // probability that a packet vanishes, 0..1
	Dup     float64       // probability that a packet arrives twice
	Reorder float64       // probability that a packet is held back for another Delay
	Corrupt float64       // probability that one bit of a packet is flipped
	Rate    float64       // bits per second; 0 is unlimited
	Queue   int           // bytes that may wait for a Rate; beyond it packets are dropped; 0 is unlimited
	MTU     int           // packets with more bytes of payload are dropped; 0 is unlimited
	Down    bool          // nothing passes
}

// maxInbox bounds the packets that wait for a connection's reader, like a socket buffer.
const maxInbox = 10_000

// Errors of this package, besides those of net.PacketConn.
var (
	ErrNoHost    = errors.New("simnet: no such host")
	ErrAddrInUse = errors.New("simnet: address in use")
)

// Net is one network.
type Net struct {
	mu    sync.Mutex
	rand  *rand.Rand
	conns map[netip.AddrPort]*Conn
	nats  map[netip.Addr]*NAT // by public address
	hosts map[netip.Addr]*host
	paths map[path]float64 // probability that a packet is lost in the core; 1 is a black hole
	trace func(Packet)
	fates map[Fate]uint64
}

type host struct {
	up, down         Link
	upFree, downFree time.Time // when a rate-limited link is free again
	nat              *NAT
}

// New makes an empty network whose random choices follow from seed.
func New(seed uint64) *Net {
	return &Net{
		rand:  rand.New(rand.NewPCG(seed, 0x51)), //nolint:gosec // simulation wants repeatable numbers
		conns: map[netip.AddrPort]*Conn{},
		nats:  map[netip.Addr]*NAT{},
		hosts: map[netip.Addr]*host{},
		paths: map[path]float64{},
		fates: map[Fate]uint64{},
	}
}

// AddHost adds a host with the same Link in both directions, behind nat unless that is nil.
func (n *Net) AddHost(addr netip.Addr, l Link, nat *NAT) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[addr] = &host{up: l, down: l, nat: nat}
}

// SetLink changes the lines of a host: change receives both directions.
func (n *Net) SetLink(addr netip.Addr, change func(up, down *Link)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[addr]
	change(&h.up, &h.down)
}

// Listen opens a connection at addr, whose host must exist.
func (n *Net) Listen(addr netip.AddrPort) (*Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts[addr.Addr()] == nil {
		return nil, ErrNoHost
	}
	if n.conns[addr] != nil {
		return nil, ErrAddrInUse
	}
	c := newConn(n, addr)
	n.conns[addr] = c
	return c, nil
}

// transit takes a packet over one direction of a line; it reports the delay, or false when the packet
// is lost. n.mu is held.
func (n *Net) transit(l *Link, free *time.Time, size int) (time.Duration, bool) {
	if l.Down || l.MTU > 0 && size > l.MTU || (l.Loss > 0 && n.rand.Float64() < l.Loss) {
		return 0, false
	}
	d := l.Delay
	if l.Rate > 0 {
		now := time.Now()
		if free.Before(now) {
			*free = now
		}
		if l.Queue > 0 && free.Sub(now).Seconds()*l.Rate/8 > float64(l.Queue) {
			return 0, false
		}
		*free = free.Add(time.Duration(float64(size*8) / l.Rate * float64(time.Second)))
		d += free.Sub(now)
	}
	if l.Jitter > 0 {
		d += time.Duration(n.rand.Float64() * float64(l.Jitter))
	}
	if l.Reorder > 0 && n.rand.Float64() < l.Reorder {
		d += l.Delay
	}
	return d, true
}

// send takes ownership of b.
func (n *Net) send(c *Conn, dst netip.AddrPort, b []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	src := c.local
	n.saw(src, dst, b, Sent)
	h := n.hosts[src.Addr()]
	if h == nil { // the connection was closed meanwhile, and its host has moved
		n.saw(src, dst, b, Unrouted)
		return
	}
	copies := 1
	if h.up.Dup > 0 && n.rand.Float64() < h.up.Dup {
		copies = 2
		n.saw(src, dst, b, Duplicated)
	}
	for range copies {
		delay, ok := n.transit(&h.up, &h.upFree, len(b))
		if !ok {
			n.saw(src, dst, b, Lost)
			continue
		}
		pkt := b
		if h.up.Corrupt > 0 && len(b) > 0 && n.rand.Float64() < h.up.Corrupt {
			pkt = append([]byte(nil), b...)
			pkt[n.rand.IntN(len(pkt))] ^= 1 << n.rand.IntN(8)
		}
		from := src
		if h.nat != nil {
			if from, ok = h.nat.outbound(src, dst); !ok {
				n.saw(src, dst, b, Filtered)
				continue
			}
		}
		time.AfterFunc(delay, func() { n.arrive(src.Addr(), from, dst, pkt) })
	}
}

// arrive is a packet that host origin sent, at the far side of the core, in front of the destination's NAT
// and line.
func (n *Net) arrive(origin netip.Addr, src, dst netip.AddrPort, b []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	final := dst
	if nat := n.nats[dst.Addr()]; nat != nil {
		in, ok := nat.inbound(src, dst.Port())
		if !ok {
			n.saw(src, dst, b, Filtered)
			return
		}
		final = in
	} else if h := n.hosts[dst.Addr()]; h == nil || h.nat != nil { // private addresses are not routable
		n.saw(src, dst, b, Unrouted)
		return
	}
	h := n.hosts[final.Addr()]
	if h == nil {
		n.saw(src, dst, b, Unrouted)
		return
	}
	if fate, ok := n.cross(path{origin, final.Addr()}); !ok {
		n.saw(src, dst, b, fate)
		return
	}
	delay, ok := n.transit(&h.down, &h.downFree, len(b))
	if !ok {
		n.saw(src, dst, b, Lost)
		return
	}
	time.AfterFunc(delay, func() { n.deliver(src, final, b) })
}

func (n *Net) deliver(src, dst netip.AddrPort, b []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fate := Unrouted
	if c := n.conns[dst]; c != nil {
		fate = c.receive(src, b)
	}
	n.saw(src, dst, b, fate)
}
