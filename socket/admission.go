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
	mu       sync.Mutex
	total    int
	byPrefix map[netip.Prefix]int
}

func newAdmission() *admission { return &admission{byPrefix: map[netip.Prefix]int{}} }

// underLoad decides for quic-go whether a source address must be validated first.
func (a *admission) underLoad(from net.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total > validateAbove || a.byPrefix[prefixOf(from)] >= validateAbovePrefix
}

type halfOpenKey struct{}

// begin admits or refuses a new connection attempt, before any state is made for it.
func (a *admission) begin(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	p := prefixOf(info.RemoteAddr)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total >= maxHalfOpen || a.byPrefix[p] >= maxHalfOpenPrefix {
		return ctx, errHalfOpen
	}
	a.total++
	a.byPrefix[p]++
	done := sync.OnceFunc(func() { a.end(p) })
	context.AfterFunc(ctx, done)
	return context.WithValue(ctx, halfOpenKey{}, done), nil
}

func (a *admission) end(p netip.Prefix) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total--
	if a.byPrefix[p]--; a.byPrefix[p] == 0 {
		delete(a.byPrefix, p)
	}
}

// proved takes a connection out of the count: its peer has proved a key.
func (*admission) proved(ctx context.Context) {
	if done, ok := ctx.Value(halfOpenKey{}).(func()); ok {
		done()
	}
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
