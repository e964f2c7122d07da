package socket

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"parley/peer"
)

// alpn names the protocol and its major version in the TLS handshake. It is visible to an observer.
const alpn = "parley/1"

// selfSigned makes the certificate that carries our key. Its contents say nothing else: no name, no
// place, and a validity that never ends, because it is the key that is the identity.
func selfSigned(key *peer.Key) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280, 4.1.2.5: no expiration
	}
	signer := key.Signer()
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("parley: making the certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer}, nil
}

// tlsConfig is both sides' configuration; verify decides about the peer's key. It runs in
// VerifyConnection because that, unlike VerifyPeerCertificate, also runs on resumption. Session tickets
// are off all the same until resumption has its rules (C4, threat T7).
func tlsConfig(cert tls.Certificate, verify func(peer.ID) error) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{cert},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, //nolint:gosec // there is no CA; VerifyConnection checks the key itself
		MinVersion:             tls.VersionTLS13,
		CurvePreferences:       []tls.CurveID{tls.X25519MLKEM768},
		NextProtos:             []string{alpn},
		SessionTicketsDisabled: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			id, err := identify(cs)
			if err != nil {
				return err
			}
			return verify(id)
		},
	}
}

var (
	errOwnKey   = errors.New("the other side presented our own key")
	errNoSingle = errors.New("the peer must present exactly one certificate")
	errNotEd    = errors.New("the peer's key is not Ed25519")
	errNotSelf  = errors.New("the peer's certificate is not signed by its own key")
	errExpired  = errors.New("the peer's certificate has expired")
	errNoALPN   = errors.New("the peer does not speak " + alpn)
)

// identify returns whose key the connection was made with, which TLS has proved to be present. It is
// strict about everything else as well: what no Parley host sends is refused (threat T1).
func identify(cs tls.ConnectionState) (peer.ID, error) {
	if cs.Version != tls.VersionTLS13 || cs.NegotiatedProtocol != alpn {
		return peer.ID{}, errNoALPN
	}
	if len(cs.PeerCertificates) != 1 {
		return peer.ID{}, errNoSingle
	}
	cert := cs.PeerCertificates[0]
	key, ok := cert.PublicKey.(ed25519.PublicKey)
	if !ok {
		return peer.ID{}, errNotEd
	}
	if cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) != nil {
		return peer.ID{}, errNotSelf
	}
	if time.Now().After(cert.NotAfter) {
		return peer.ID{}, errExpired
	}
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		return peer.ID{}, fmt.Errorf("the peer's key: %w", err)
	}
	return id, nil
}
