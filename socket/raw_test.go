package socket_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// rawEnd is quic-go alone, with nothing of ours above it: what sessions are measured against.
type rawEnd struct {
	transport *quic.Transport
	config    *quic.Config
	tls       *tls.Config
	listener  *quic.Listener
}

// newRawEnd has quic-go with the settings that matter to a comparison as sessions have them.
func newRawEnd(tb testing.TB, pc net.PacketConn) *rawEnd {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	e := &rawEnd{
		transport: &quic.Transport{Conn: pc, ConnectionIDLength: 8},
		config: &quic.Config{
			HandshakeIdleTimeout: time.Minute, MaxIdleTimeout: 30 * time.Second, KeepAlivePeriod: 10 * time.Second,
			InitialPacketSize: 1200, MaxIncomingStreams: 1024, EnableDatagrams: true,
		},
		tls: &tls.Config{
			Certificates:       []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
			InsecureSkipVerify: true,
			ClientAuth:         tls.RequireAnyClientCert,
			MinVersion:         tls.VersionTLS13,
			NextProtos:         []string{"raw"},
		},
	}
	if e.listener, err = e.transport.Listen(e.tls, e.config); err != nil {
		tb.Fatal(err)
	}
	return e
}

func (e *rawEnd) dial(ctx context.Context, to net.Addr) (*quic.Conn, error) {
	return e.transport.Dial(ctx, to, e.tls, e.config)
}

// close is called when every connection is closed.
func (e *rawEnd) close() {
	_ = e.listener.Close()
	_ = e.transport.Close()
	_ = e.transport.Conn.Close()
}
