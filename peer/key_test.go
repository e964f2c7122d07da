package peer

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
)

// The signature of RFC 8032 §7.1 test 2, through the Signer.
func TestKeyFromSeedSigns(t *testing.T) {
	seed := unhex(t, "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
	k, err := KeyFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	clear(seed) // the key must have its own copy
	if got := k.ID().String(); got != idVectors[1].text {
		t.Errorf("id %s, want %s", got, idVectors[1].text)
	}
	sig, err := k.Signer().Sign(rand.Reader, []byte{0x72}, crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	want := unhex(t, "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"+
		"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
	if string(sig) != string(want) {
		t.Errorf("signature %x, want %x", sig, want)
	}
	if !ed25519.Verify(k.ID().PublicKey(), []byte{0x72}, sig) {
		t.Error("the id does not verify its key's signature")
	}
}

// The Signer is what x509 needs for a peer's certificate.
func TestSignerMakesCertificates(t *testing.T) {
	k := testKey(t, 1)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Signer().Public(), k.Signer())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := IDFromPublicKey(cert.PublicKey.(ed25519.PublicKey)); err != nil || id != k.ID() {
		t.Errorf("certificate of %v, want %v (%v)", id, k.ID(), err)
	}
}

func TestKeyFromSeedRefusesLengths(t *testing.T) {
	for _, n := range []int{0, 31, 33, 64} {
		if k, err := KeyFromSeed(make([]byte, n)); err == nil || k != nil {
			t.Errorf("a seed of %d bytes is accepted", n)
		}
	}
}

func TestGenerateKeyIsFresh(t *testing.T) {
	a, errA := GenerateKey()
	b, errB := GenerateKey()
	if errA != nil || errB != nil || a.ID() == b.ID() {
		t.Errorf("two keys: %v, %v, %v, %v", a.ID(), b.ID(), errA, errB)
	}
}

func TestZeroKeyCannotSign(t *testing.T) {
	var k Key
	if !k.ID().IsZero() {
		t.Error("the zero key has an id")
	}
	if _, err := k.Signer().Sign(nil, nil, crypto.Hash(0)); err == nil || !strings.Contains(err.Error(), "zero peer key") {
		t.Errorf("Sign: %v", err)
	}
}

// A file whose halves do not belong together would sign with one key's nonce
// under another's name, and two such signatures reveal the seed.
func TestMismatchedHalvesRefused(t *testing.T) {
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	copy(private[32:], testKey(t, 9).ID().PublicKey())
	if _, err := keyFromParsed(private); err == nil {
		t.Error("accepted")
	}
	if _, err := keyFromParsed(private[:63]); err == nil {
		t.Error("63 bytes accepted")
	}
}
