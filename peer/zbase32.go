package peer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// alphabet is that of z-base-32, most significant five bits first
// (https://philzimmermann.com/docs/human-oriented-base-32-encoding.txt).
const alphabet = "ybndrfg8ejkmcpqxot1uwisza345h769"

// idTextLen is the number of characters that 256 bits take at five bits each.
// The last character carries one bit of the key and four of padding.
const (
	idTextLen   = 52
	paddingMask = 0x0f
)

// notInAlphabet marks, in alphabetValue, a byte that is no z-base-32 character.
const notInAlphabet = 0xff

// alphabetValue maps a byte to its five bits.
var alphabetValue = func() (v [256]byte) {
	for i := range v {
		v[i] = notInAlphabet
	}
	for i := range len(alphabet) {
		v[alphabet[i]] = byte(i)
	}
	return v
}()

// appendZBase32 appends the text form of id to b.
func appendZBase32(b []byte, id *ID) []byte {
	var acc uint32
	bits := 0
	for _, c := range id {
		acc = acc<<8 | uint32(c)
		for bits += 8; bits >= 5; {
			bits -= 5
			b = append(b, alphabet[acc>>bits&31])
		}
	}
	return append(b, alphabet[acc<<(5-bits)&31])
}

// decodeZBase32 is the strict inverse of appendZBase32: it accepts only what
// appendZBase32 writes. The error wraps ErrInvalidID and echoes at most one
// character of s, escaped to ASCII.
func decodeZBase32(s string) (id ID, err error) {
	// A text of 52 characters but more bytes goes on, to fail at the first
	// character that is not ASCII.
	if n := utf8.RuneCountInString(s); n != idTextLen {
		return ID{}, fmt.Errorf("%w: %d characters, want %d", ErrInvalidID, n, idTextLen)
	}
	var acc uint32
	bits, n := 0, 0
	for i := range len(s) {
		v := alphabetValue[s[i]]
		if v == notInAlphabet {
			return ID{}, badCharacter(s, i)
		}
		acc = acc<<5 | uint32(v)
		if bits += 5; bits >= 8 {
			bits -= 8
			id[n] = byte(acc >> bits)
			n++
		}
	}
	if acc&paddingMask != 0 {
		return ID{}, fmt.Errorf("%w: the last character is %q, which no 256-bit key ends in", ErrInvalidID, s[idTextLen-1])
	}
	return id, nil
}

// badCharacter says which character at byte offset i of s is wrong, and why.
func badCharacter(s string, i int) error {
	r, _ := utf8.DecodeRuneInString(s[i:])
	pos := utf8.RuneCountInString(s[:i]) + 1
	why := "is not in the z-base-32 alphabet"
	if 'A' <= r && r <= 'Z' && strings.ContainsRune(alphabet, r|0x20) {
		why = "is upper case; ids are lower case only"
	}
	return fmt.Errorf("%w: character %+q at position %d %s", ErrInvalidID, r, pos, why)
}
