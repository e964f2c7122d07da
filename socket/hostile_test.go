package socket_test

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/internal/simnet"
	"parley/peer"
	"parley/socket"
	"parley/wire"
)

// stranger is a QUIC endpoint that speaks to a host without this package's manners.
type stranger struct {
	w  *world
	id peer.ID
	tr *quic.Transport
}

func (w *world) stranger(name string) *stranger {
	w.t.Helper()
	at := addrOf(name)
	w.net.AddHost(at.Addr(), simnet.Link{Delay: oneWay}, nil)
	pc, err := w.net.Listen(at)
	if err != nil {
		w.t.Fatal(err)
	}
	x := &stranger{w: w, id: testKey(name).ID(), tr: &quic.Transport{Conn: pc}}
	w.t.Cleanup(func() { _ = x.tr.Close(); _ = pc.Close() })
	return x
}

// chain makes a certificate for public, signed by signer.
func chain(t *testing.T, public, signer any, until time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func (x *stranger) certificate(name string) tls.Certificate {
	k := testKey(name).Signer()
	return tls.Certificate{Certificate: [][]byte{chain(x.w.t, k.Public(), k, never)}, PrivateKey: k}
}

// dial makes a QUIC connection with any certificate and protocol name.
func (x *stranger) dial(n *node, cert tls.Certificate, change ...func(*tls.Config)) (*quic.Conn, error) {
	x.w.t.Helper()
	addr, err := net.ResolveUDPAddr("udp", n.addr)
	if err != nil {
		x.w.t.Fatal(err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"parley/1"}}
	for _, f := range change {
		f(conf)
	}
	return x.tr.Dial(context.Background(), addr, conf, &quic.Config{InitialPacketSize: 1200, EnableDatagrams: true})
}

// fate waits until the host has closed the connection, and returns with which code, or -1 if it had not
// after a minute. A refusal in TLS is code -2.
func fate(c *quic.Conn, err error) int {
	if err == nil {
		select {
		case <-c.Context().Done():
			err = context.Cause(c.Context())
		case <-time.After(time.Minute):
			return -1
		}
	}
	switch e := err.(type) {
	case *quic.ApplicationError:
		if e.Remote {
			return int(e.ErrorCode)
		}
	case *quic.TransportError:
		if e.Remote && e.ErrorCode.IsCryptoError() {
			return -2
		}
	}
	return -3
}

// Threat T1: whatever is not exactly one self-signed, unexpired certificate of an Ed25519 key over TLS
// 1.3 with X25519MLKEM768 and our protocol name gets no session.
func TestCertificates(t *testing.T) { // ID3, ID4, ID6
	key := testKey("x").Signer()
	other := testKey("y").Signer()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := chain(t, key.Public(), key, never)
	for name, tc := range map[string]struct {
		cert   tls.Certificate
		change func(*tls.Config)
		ok     bool
	}{
		"good":            {cert: tls.Certificate{Certificate: [][]byte{good}, PrivateKey: key}, ok: true},
		"RSA":             {cert: tls.Certificate{Certificate: [][]byte{chain(t, rsaKey.Public(), rsaKey, never)}, PrivateKey: rsaKey}},
		"P-256":           {cert: tls.Certificate{Certificate: [][]byte{chain(t, ecKey.Public(), ecKey, never)}, PrivateKey: ecKey}},
		"two":             {cert: tls.Certificate{Certificate: [][]byte{good, good}, PrivateKey: key}},
		"signed by other": {cert: tls.Certificate{Certificate: [][]byte{chain(t, key.Public(), other, never)}, PrivateKey: key}},
		"expired":         {cert: tls.Certificate{Certificate: [][]byte{chain(t, key.Public(), key, time.Unix(1e8, 0))}, PrivateKey: key}},
		"none":            {change: func(c *tls.Config) { c.Certificates = nil }},
		"not ours":        {cert: tls.Certificate{Certificate: [][]byte{good}, PrivateKey: otherSigner{key, other}}},
		"own key":         {cert: tls.Certificate{Certificate: [][]byte{chain(t, testKey("b").Signer().Public(), testKey("b").Signer(), never)}, PrivateKey: testKey("b").Signer()}},
		"other protocol": {
			cert:   tls.Certificate{Certificate: [][]byte{good}, PrivateKey: key},
			change: func(c *tls.Config) { c.NextProtos = []string{"h3"} },
		},
		"no post-quantum": {
			cert:   tls.Certificate{Certificate: [][]byte{good}, PrivateKey: key},
			change: func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				b := w.node("b")
				x := w.stranger("x")
				var change []func(*tls.Config)
				if tc.change != nil {
					change = append(change, tc.change)
				}
				c, err := x.dial(b, tc.cert, change...)
				if err == nil && tc.ok {
					hello(t, c, nil)
					b.await("the good one got no session", func() bool { return len(b.ups) == 1 })
					return
				}
				if got := fate(c, err); got != -2 {
					t.Errorf("fate %d (%v), want a refusal by TLS", got, err)
				}
				if connected(b) {
					t.Error("a session came up")
				}
			})
		})
	}
}

// otherSigner claims one key and signs with another: possession is not proved.
type otherSigner struct{ claimed, used crypto.Signer }

func (s otherSigner) Public() crypto.PublicKey { return s.claimed.Public() }

func (s otherSigner) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return s.used.Sign(r, digest, o)
}

// hello opens the control stream and says Hello, after change has changed it.
func hello(t *testing.T, c *quic.Conn, change func(*wire.Hello)) (*quic.Stream, *bufio.Reader) {
	t.Helper()
	h := &wire.Hello{Version: wire.Version, Incarnation: 7, Lanes: 8, MaxBlock: 1 << 20}
	if change != nil {
		change(h)
	}
	b, err := wire.AppendControl([]byte{byte(wire.StreamControl)}, &wire.Control{Kind: &wire.ControlHello{Hello: h}})
	if err != nil {
		t.Fatal(err)
	}
	st := raw(t, c, b)
	return st, bufio.NewReader(st)
}

// raw opens a stream and writes bytes to it.
func raw(t *testing.T, c *quic.Conn, b []byte) *quic.Stream {
	t.Helper()
	st, err := c.OpenStreamSync(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Write(b); err != nil {
		t.Fatal(err)
	}
	return st
}

// What a stranger says before it has a session: refused with the right code, and no session comes up.
func TestBadHello(t *testing.T) { // CN2, CN3, CN5, CN6
	const protocol, version, authentication, timeout = 6, 4, 3, 8
	for name, tc := range map[string]struct {
		act  func(t *testing.T, c *quic.Conn)
		want int
	}{
		"says nothing": {func(*testing.T, *quic.Conn) {}, timeout},
		"no preamble":  {func(t *testing.T, c *quic.Conn) { raw(t, c, []byte{0}) }, protocol},
		"a lane first": {func(t *testing.T, c *quic.Conn) { raw(t, c, []byte{byte(wire.StreamLane), 0, 0}) }, protocol},
		"garbage":      {func(t *testing.T, c *quic.Conn) { raw(t, c, []byte{byte(wire.StreamControl), 3, 0xff, 0xff, 0xff}) }, protocol},
		"endless": {func(t *testing.T, c *quic.Conn) {
			raw(t, c, []byte{byte(wire.StreamControl), 0xff, 0xff, 0xff, 0xff, 0x7f})
		}, protocol},
		"half a hello":    {func(t *testing.T, c *quic.Conn) { raw(t, c, []byte{byte(wire.StreamControl), 20, 1}) }, timeout},
		"another version": {func(t *testing.T, c *quic.Conn) { hello(t, c, func(h *wire.Hello) { h.Version = 9 }) }, version},
		"a proof nobody asked for": {
			func(t *testing.T, c *quic.Conn) {
				hello(t, c, func(h *wire.Hello) { h.Proof = make([]byte, wire.ProofSize) })
			}, authentication,
		},
		"ping first": {func(t *testing.T, c *quic.Conn) {
			b, _ := wire.AppendControl([]byte{byte(wire.StreamControl)}, &wire.Control{Kind: &wire.ControlPing{Ping: &wire.Ping{Nonce: 1}}})
			raw(t, c, b)
		}, protocol},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				b, x := w.node("b"), w.stranger("x")
				c, err := x.dial(b, x.certificate("x"))
				if err != nil {
					t.Fatal(err)
				}
				tc.act(t, c)
				if got := fate(c, nil); got != tc.want {
					t.Errorf("closed with %d, want %d", got, tc.want)
				}
				if connected(b) {
					t.Error("a session came up")
				}
			})
		})
	}
}

// What an authenticated peer does against the protocol ends its own session, with a reason, and no other.
func TestHostilePeer(t *testing.T) { // CN1, CN5, CN6, BL1
	const protocol = 6
	lane := func(bytes ...byte) []byte { return append([]byte{byte(wire.StreamLane)}, bytes...) }
	for name, act := range map[string]func(t *testing.T, c *quic.Conn, control *quic.Stream){
		"unknown stream":     func(t *testing.T, c *quic.Conn, _ *quic.Stream) { raw(t, c, []byte{99}) },
		"second control":     func(t *testing.T, c *quic.Conn, _ *quic.Stream) { raw(t, c, []byte{byte(wire.StreamControl)}) },
		"lane 64":            func(t *testing.T, c *quic.Conn, _ *quic.Stream) { raw(t, c, lane(64, 0)) },
		"block over 64 KiB":  func(t *testing.T, c *quic.Conn, _ *quic.Stream) { raw(t, c, lane(0, 0, 0x81, 0x80, 0x04)) },
		"end inside a block": func(t *testing.T, c *quic.Conn, _ *quic.Stream) { _ = raw(t, c, lane(0, 0, 9, 1)).Close() },
		"lane skips blocks":  func(t *testing.T, c *quic.Conn, _ *quic.Stream) { raw(t, c, lane(0, 1, 1, 1)) },
		"lane reset": func(t *testing.T, c *quic.Conn, _ *quic.Stream) {
			st := raw(t, c, lane(0, 0, 1, 1))
			<-time.After(time.Second)
			st.CancelWrite(0)
		},
		"control ends": func(_ *testing.T, _ *quic.Conn, s *quic.Stream) { _ = s.Close() },
		"hello again": func(t *testing.T, _ *quic.Conn, s *quic.Stream) {
			frame(t, s, &wire.Control{Kind: &wire.ControlHello{Hello: &wire.Hello{Version: 1, Incarnation: 7, Lanes: 1, MaxBlock: 1}}})
		},
		"closed unasked": func(t *testing.T, _ *quic.Conn, s *quic.Stream) {
			frame(t, s, &wire.Control{Kind: &wire.ControlClosed{Closed: &wire.Closed{}}})
		},
		"close, odd reason": func(t *testing.T, _ *quic.Conn, s *quic.Stream) {
			frame(t, s, &wire.Control{Kind: &wire.ControlClose{Close: &wire.Close{Reason: 77}}})
		},
		"garbage on control":   func(_ *testing.T, _ *quic.Conn, s *quic.Stream) { _, _ = s.Write([]byte{2, 0xff, 0xff}) },
		"huge control frame":   func(_ *testing.T, _ *quic.Conn, s *quic.Stream) { _, _ = s.Write([]byte{0xff, 0xff, 0x7f}) },
		"overlong lane varint": func(t *testing.T, c *quic.Conn, _ *quic.Stream) { raw(t, c, lane(0x80, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				a, b, x := w.node("a"), w.node("b"), w.stranger("x")
				honest := a.dial(b)
				c, err := x.dial(b, x.certificate("x"))
				if err != nil {
					t.Fatal(err)
				}
				control, _ := hello(t, c, nil)
				b.await("no session", func() bool { return len(b.ups) == 2 })
				<-time.After(time.Second)
				act(t, c, control)
				if got := fate(c, nil); got != protocol {
					t.Errorf("closed with %d, want %d", got, protocol)
				}
				b.await("no down", func() bool { return len(b.downs) == 1 })
				wantCode(t, b.downs[0], socket.Protocol)
				if honest.Err() != nil {
					t.Errorf("the honest session ended: %v", honest.Err())
				}
			})
		})
	}
}

func frame(t *testing.T, s *quic.Stream, m *wire.Control) {
	t.Helper()
	b, err := wire.AppendControl(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(b); err != nil {
		t.Fatal(err)
	}
}
