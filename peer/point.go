package peer

import (
	"fmt"
	"math/big"
)

// The field and curve constants of RFC 8032 §5.1.
var (
	// fieldPrime is p = 2^255 - 19.
	fieldPrime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	// curveD is d = -121665/121666 mod p.
	curveD = func() *big.Int {
		d := new(big.Int).ModInverse(big.NewInt(121666), fieldPrime)
		d.Mul(d, big.NewInt(-121665))
		return d.Mod(d, fieldPrime)
	}()
)

// smallOrderY are the y coordinates, little-endian, of the eight points whose
// order divides the cofactor 8. For such a "key" signatures can be made that
// verify for many messages without any private key, so it identifies nobody.
var smallOrderY = [...][32]byte{
	{}, // 0, order 4
	{1},
	// p-1, order 2
	{
		0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
	},
	// The two of order 8.
	{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	},
	{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	},
}

// checkPoint reports whether enc is the canonical encoding of a point of
// Ed25519 that can serve as a public key. One key then has one spelling: TLS
// libraries differ in whether they reduce y modulo p or accept a set sign bit
// when x is zero, and two spellings of one key would be two peers (threat T1).
// The work is not constant-time; public keys are public.
func checkPoint(enc *[32]byte) error {
	y := *enc
	y[31] &= 0x7f // the top bit is the sign of x
	for i := range smallOrderY {
		// The encodings with x = 0 and the sign bit set are among these too.
		if y == smallOrderY[i] {
			return fmt.Errorf("%w: a small-order point, which nobody owns", ErrInvalidID)
		}
	}
	var be [32]byte
	for i, b := range y {
		be[31-i] = b
	}
	v := new(big.Int).SetBytes(be[:])
	if v.Cmp(fieldPrime) >= 0 {
		return fmt.Errorf("%w: not a canonical Ed25519 encoding", ErrInvalidID)
	}
	// x² = (y²-1)/(dy²+1) must have a root. The quotient is a square exactly
	// when the product of its two sides is.
	yy := v.Mul(v, v)
	yy.Mod(yy, fieldPrime)
	den := new(big.Int).Mul(curveD, yy)
	den.Add(den, big.NewInt(1))
	num := yy.Sub(yy, big.NewInt(1))
	num.Mul(num, den)
	num.Mod(num, fieldPrime)
	if big.Jacobi(num, fieldPrime) == -1 {
		return fmt.Errorf("%w: not a point of Ed25519", ErrInvalidID)
	}
	return nil
}
