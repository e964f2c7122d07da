package socket

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"
)

// Limits on connections that have not yet proved a key (threats T5, T6). A half-open handshake costs
// about 47 KB and 4 goroutines; with address validation it costs the sender a round trip first.
const (
	maxHalfOpen         = 1024 // in all
	maxHalfOpenPrefix   = 32   // from one /24 (IPv4) or /48 (IPv6)
	validateAbovePrefix = 8    // the same for one network: who spoofs its addresses cannot use up its share
	validateAbove       = 128  // above so many, addresses are validated by QUIC's Retry
)

var errHalfOpen = errors.New("too many handshakes under way")

// admission counts handshakes under way. Safe for concurrent use.
type admission struct {
	mu         sync.Mutex
	total      int
	byPrefix   map[netip.Prefix]int
	turnedAway uint64 // refused by begin
	unproved   uint64 // ended before known
}

func newAdmission() *admission { return &admission{byPrefix: map[netip.Prefix]int{}} }

// underLoad decides for quic-go whether a source address must be validated first.
func (a *admission) underLoad(from net.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total > validateAbove || a.byPrefix[prefixOf(from)] >= validateAbovePrefix
}

// halfOpen is a handshake under way.
type halfOpen struct {
	prefix netip.Prefix

	// Guarded by admission.mu.
	known bool // its peer has proved a key
	over  bool
}

type halfOpenKey struct{}

// begin admits or refuses a new connection attempt, before any state is made for it.
func (a *admission) begin(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	p := prefixOf(info.RemoteAddr)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total >= maxHalfOpen || a.byPrefix[p] >= maxHalfOpenPrefix {
		a.turnedAway++
		return ctx, errHalfOpen
	}
	a.total++
	a.byPrefix[p]++
	one := &halfOpen{prefix: p}
	context.AfterFunc(ctx, func() { a.end(one) })
	return context.WithValue(ctx, halfOpenKey{}, one), nil
}

// end takes a connection out of the count, if it is still in it.
func (a *admission) end(one *halfOpen) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one.over {
		return
	}
	one.over = true
	if !one.known {
		a.unproved++
	}
	p := one.prefix
	a.total--
	if a.byPrefix[p]--; a.byPrefix[p] == 0 {
		delete(a.byPrefix, p)
	}
}

// known notes that a connection's peer has proved a key. What it wants is still to be seen.
func (a *admission) known(ctx context.Context) {
	if one, ok := ctx.Value(halfOpenKey{}).(*halfOpen); ok {
		a.mu.Lock()
		one.known = true
		a.mu.Unlock()
	}
}

// proved takes a connection out of the count: it has become part of a session.
func (a *admission) proved(ctx context.Context) {
	if one, ok := ctx.Value(halfOpenKey{}).(*halfOpen); ok {
		a.end(one)
	}
}

func (a *admission) stats() (halfOpen int, turnedAway, unproved uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total, a.turnedAway, a.unproved
}

// prefixOf is the network that counts as one stranger.
func prefixOf(a net.Addr) netip.Prefix {
	ua, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := ua.AddrPort().Addr().Unmap()
	bits := 48
	if ip.Is4() {
		bits = 24
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
