package peer

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
)

// A Key is a peer's Ed25519 private key. It is immutable and safe for concurrent
// use. It prints, encodes and logs as "redacted" (requirement I2), cannot be compared,
// and hands out its bytes to nobody: [Key.Signer] signs, [LoadOrCreateKey] stores.
//
// The zero Key has the zero [ID] and cannot sign.
type Key struct {
	redacted
	id      ID
	private privateKey
}

// A privateKey returns the key it encloses; see redacted for why it is a closure.
type privateKey func() ed25519.PrivateKey

// GenerateKey makes a new key from the system's secure random source.
func GenerateKey() (*Key, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("generate a peer key: %w", err)
	}
	return newKey(private), nil
}

// KeyFromSeed returns the key of a 32-byte seed (RFC 8032's private key), which
// is copied. Whoever knows the seed is the peer; a seed that is not uniformly
// random makes a peer that others can become. It is meant for tests and for keys
// derived elsewhere; most programs use [LoadOrCreateKey].
func KeyFromSeed(seed []byte) (*Key, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("a peer key's seed has %d bytes, not %d", ed25519.SeedSize, len(seed))
	}
	return newKey(ed25519.NewKeyFromSeed(seed)), nil
}

// newKey takes ownership of private, which must be consistent: its second half
// is the public key of its first.
func newKey(private ed25519.PrivateKey) *Key {
	return &Key{
		id:      ID(private[ed25519.SeedSize:]),
		private: func() ed25519.PrivateKey { return private },
	}
}

// keyFromParsed checks what a file claimed to be a private key. A public half
// that does not belong to the seed would make signatures that leak the key.
func keyFromParsed(private ed25519.PrivateKey) (*Key, error) {
	if len(private) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("the private key has %d bytes, not %d", len(private), ed25519.PrivateKeySize)
	}
	whole := ed25519.NewKeyFromSeed(private.Seed())
	if !bytes.Equal(whole[ed25519.SeedSize:], private[ed25519.SeedSize:]) {
		return nil, errors.New("the private and the public key in it do not belong together")
	}
	return newKey(whole), nil
}

// ID returns the public half: who the holder of this key is.
func (k *Key) ID() ID { return k.id }

// Signer returns the key as TLS and x509 want it: Public is an
// [ed25519.PublicKey], Sign is Ed25519 over the message itself (Hash 0). It is
// safe for concurrent use and redacted as the Key is.
func (k *Key) Signer() crypto.Signer { return signer{id: k.id, private: k.private} }

type signer struct {
	redacted
	id      ID
	private privateKey
}

func (s signer) Public() crypto.PublicKey { return s.id.PublicKey() }

func (s signer) Sign(rand io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s.private == nil {
		return nil, errors.New("sign: the zero peer key cannot sign")
	}
	return s.private().Sign(rand, message, opts)
}
