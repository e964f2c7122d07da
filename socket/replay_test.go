package socket_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// ticketBox counts the session tickets that a TLS client is given.
type ticketBox struct {
	tls.ClientSessionCache
	tickets atomic.Int32
}

func (b *ticketBox) Put(string, *tls.ClientSessionState) { b.tickets.Add(1) }

// ID3, threat T7: a host gives out no session ticket, so that nobody can make early data for it, to be
// replayed by whoever saw it, nor a connection without proving a key.
func TestNoTickets(t *testing.T) {
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		box := &ticketBox{ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		conf := tlsConf(x, "x")
		conf.ClientSessionCache = box
		at := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(b.addr))
		c, err := x.tr.Dial(context.Background(), at, conf, nil)
		if err != nil {
			t.Fatal(err)
		}
		hello(t, c, nil)
		<-time.After(time.Second) // a ticket follows the handshake
		if n := box.tickets.Load(); n != 0 {
			t.Errorf("got %d tickets", n)
		}
	})
}
