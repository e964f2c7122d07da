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

// Errors of Net.Listen.
var (
	ErrNoHost    = errors.New("simnet: no such host")
	ErrAddrInUse = errors.New("simnet: address in use")
)

// Packet is what a trace sees of one packet as it enters the core.
type Packet struct {
	Time     time.Time
	From, To netip.AddrPort
	Size     int
	Payload  []byte // the packet itself; valid during the call, not to be changed
	Fate     Fate
}

// Fate says what became of a packet.
type Fate string

// The fates.
const (
	Sent     Fate = "sent"     // entered the network
	Lost     Fate = "lost"     // dropped by a link
	Filtered Fate = "filtered" // dropped by a NAT
	Unrouted Fate = "unrouted" // no such destination
)

// Net is one network.
type Net struct {
	mu    sync.Mutex
	rand  *rand.Rand
	conns map[netip.AddrPort]*Conn
	nats  map[netip.Addr]*NAT // by public address
	hosts map[netip.Addr]*host
	trace func(Packet)
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
	}
}

// Trace has f see every packet. f is called with the network locked: it must not call back.
func (n *Net) Trace(f func(Packet)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.trace = f
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

func (n *Net) saw(from, to netip.AddrPort, b []byte, fate Fate) {
	if n.trace != nil {
		n.trace(Packet{Time: time.Now(), From: from, To: to, Size: len(b), Payload: b, Fate: fate})
	}
}

// send takes ownership of b.
func (n *Net) send(src, dst netip.AddrPort, b []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[src.Addr()]
	if h == nil {
		n.saw(src, dst, b, Unrouted)
		return
	}
	n.saw(src, dst, b, Sent)
	copies := 1
	if h.up.Dup > 0 && n.rand.Float64() < h.up.Dup {
		copies = 2
	}
	for range copies {
		delay, ok := n.transit(&h.up, &h.upFree, len(b))
		if !ok {
			n.saw(src, dst, b, Lost)
			continue
		}
		pkt := b
		if h.up.Corrupt > 0 && n.rand.Float64() < h.up.Corrupt {
			pkt = append([]byte(nil), b...)
			pkt[n.rand.IntN(len(pkt))] ^= 1 << n.rand.IntN(8)
		}
		from := src
		if h.nat != nil {
			from = h.nat.outbound(src, dst)
		}
		time.AfterFunc(delay, func() { n.arrive(from, dst, pkt) })
	}
}

// arrive is a packet at the far side of the core, in front of the destination's NAT and line.
func (n *Net) arrive(src, dst netip.AddrPort, b []byte) {
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
	delay, ok := n.transit(&h.down, &h.downFree, len(b))
	if !ok {
		n.saw(src, dst, b, Lost)
		return
	}
	time.AfterFunc(delay, func() { n.deliver(src, final, b) })
}

func (n *Net) deliver(src, dst netip.AddrPort, b []byte) {
	n.mu.Lock()
	c := n.conns[dst]
	n.mu.Unlock()
	if c != nil {
		c.receive(src, b)
	}
}
