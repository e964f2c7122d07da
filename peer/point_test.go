package peer

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// littleEndian encodes n as a key, with the sign bit if asked.
func littleEndian(n *big.Int, sign bool) (enc [32]byte) {
	be := n.FillBytes(make([]byte, 32))
	for i, b := range be {
		enc[31-i] = b
	}
	if sign {
		enc[31] |= 0x80
	}
	return enc
}

// T1: a small-order point as a key lets signatures verify that nobody with a
// private key made, so each such encoding must be refused. The test makes
// one such signature per encoding, which also proves the constants right.
func TestSmallOrderPointsRefused(t *testing.T) { // ID2
	forged := make([]byte, ed25519.SignatureSize) // R is the neutral point, S is 0
	forged[0] = 1
	for i, y := range smallOrderY {
		for _, sign := range []byte{0, 0x80} {
			enc := y
			enc[31] |= sign
			if err := checkPoint(&enc); !errors.Is(err, ErrInvalidID) {
				t.Errorf("point %d, sign %#x: %v", i, sign, err)
			}
			verified := false
			for n := range 200 {
				verified = verified || ed25519.Verify(enc[:], fmt.Append(nil, n), forged)
			}
			if !verified {
				t.Errorf("point %d, sign %#x is not of small order: %x", i, sign, enc)
			}
		}
	}
}

// T1: y and y+p spell the same point; only one of them may be an id. There are
// 19 values of y with two spellings in 255 bits.
func TestNonCanonicalPointsRefused(t *testing.T) { // ID2
	for i := range int64(19) {
		for _, sign := range []bool{false, true} {
			enc := littleEndian(new(big.Int).Add(fieldPrime, big.NewInt(i)), sign)
			err := checkPoint(&enc)
			if !errors.Is(err, ErrInvalidID) || !strings.Contains(err.Error(), "canonical") {
				t.Errorf("p+%d: %v", i, err)
			}
		}
	}
}

// The Jacobi shortcut agrees with taking the square root of x².
func TestOnCurve(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	on := 0
	const samples = 400
	for range samples {
		var enc [32]byte
		for i := range enc {
			enc[i] = byte(rnd.Uint32())
		}
		enc[31] &= 0x3f // keep y below p

		y := new(big.Int)
		for i := 31; i >= 0; i-- {
			y.Lsh(y, 8).Add(y, big.NewInt(int64(enc[i])))
		}
		yy := new(big.Int).Mul(y, y)
		den := new(big.Int).Mul(curveD, yy)
		den.ModInverse(den.Add(den, big.NewInt(1)), fieldPrime)
		xx := yy.Sub(yy, big.NewInt(1))
		xx.Mod(xx.Mul(xx, den), fieldPrime)
		want := new(big.Int).ModSqrt(xx, fieldPrime) != nil

		if got := checkPoint(&enc) == nil; got != want {
			t.Fatalf("%x: accepted %v, on the curve %v", enc, got, want)
		}
		if want {
			on++
		}
	}
	if on < samples/3 || on > samples*2/3 {
		t.Errorf("%d of %d random encodings are points; about half should be", on, samples)
	}
}

// Every key that is really generated is accepted.
func TestGeneratedKeysAreValid(t *testing.T) {
	for range 200 {
		k, err := GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		if id, err := ParseID(k.ID().String()); err != nil || id != k.ID() {
			t.Fatalf("ParseID(%v) = %v, %v", k.ID(), id, err)
		}
	}
}
