package socket_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/wire"
)

// watchdog ends the run after a minute of real time: a goroutine that spins stops virtual time for ever,
// and with it every deadline inside a bubble.
func watchdog(t *testing.T) {
	t.Helper()
	t.Cleanup(watch(t, time.Minute))
}

// watch is watchdog, after another time, until alive is called.
func watch(t *testing.T, d time.Duration) (alive func()) {
	t.Helper()
	w := time.AfterFunc(d, func() { panic(fmt.Sprint(t.Name(), " has not ended after ", d, " of real time")) })
	return func() { w.Stop() }
}

// twoConns returns two connections of a stranger, the one that ranks lower first.
func twoConns(t *testing.T, x *stranger, b *node, name string) (worse, better *quic.Conn) {
	t.Helper()
	var tie [2][]byte
	var c [2]*quic.Conn
	for i := range c {
		var err error
		if c[i], err = x.dial(b, x.certificate(name)); err != nil {
			t.Fatal(err)
		}
		st := c[i].ConnectionState().TLS
		if tie[i], err = st.ExportKeyingMaterial("EXPORTER-parley-connection-rank", nil, 8); err != nil {
			t.Fatal(err)
		}
	}
	if bytes.Compare(tie[0], tie[1]) < 0 {
		return c[1], c[0]
	}
	return c[0], c[1]
}

// next returns the next control frame.
func next(t *testing.T, r *bufio.Reader) *wire.Control {
	t.Helper()
	f, err := wire.ReadControl(r)
	if err != nil {
		t.Fatalf("control: %v", err)
	}
	return f
}

// dialWith is dial with a QUIC configuration.
func (x *stranger) dialWith(n *node, name string, conf *quic.Config) (*quic.Conn, error) {
	addr, err := net.ResolveUDPAddr("udp", n.addr)
	if err != nil {
		x.w.t.Fatal(err)
	}
	tc := tlsConf(x, name)
	return x.tr.Dial(context.Background(), addr, tc, conf)
}

// tlsConf is what a Parley host would use, without its checks.
func tlsConf(x *stranger, name string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{x.certificate(name)}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"parley/1"}}
}
