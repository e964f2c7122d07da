package peer

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
)

// ErrInvalidID is wrapped by every error that refuses a text or a key as a peer
// id. The wrapping message says what is wrong and where, on one line, in ASCII.
var ErrInvalidID = errors.New("invalid peer id")

// noPeer is how the zero ID prints.
const noPeer = "none"

// shortLen is the length of [ID.Short].
const shortLen = 8

// An ID is a peer's Ed25519 public key, in the encoding of RFC 8032. IDs are
// public, comparable and usable as map keys. The zero ID means "no peer" and is
// never a valid key.
type ID [32]byte

// ParseID parses the text form of an id: 52 characters of z-base-32, lower case,
// nothing around them. Each key has exactly one accepted text, and the key must
// be the canonical encoding of a point of the curve whose order is not small. The error
// wraps [ErrInvalidID].
func ParseID(s string) (ID, error) {
	id, err := decodeZBase32(s)
	if err != nil {
		return ID{}, err
	}
	if err := checkPoint((*[32]byte)(&id)); err != nil {
		return ID{}, err
	}
	return id, nil
}

// IDFromPublicKey returns the ID that is k, which is copied. It refuses a k of
// the wrong length, encodings that are not canonical or name no point of the
// curve, and points of small order; the error wraps [ErrInvalidID].
func IDFromPublicKey(k ed25519.PublicKey) (ID, error) {
	if len(k) != ed25519.PublicKeySize {
		return ID{}, fmt.Errorf("%w: an Ed25519 key has %d bytes, not %d", ErrInvalidID, ed25519.PublicKeySize, len(k))
	}
	id := ID(k)
	if err := checkPoint((*[32]byte)(&id)); err != nil {
		return ID{}, err
	}
	return id, nil
}

// String returns the 52-character text form, or "none" for the zero ID.
func (id ID) String() string {
	if id.IsZero() {
		return noPeer
	}
	var b [idTextLen]byte
	return string(appendZBase32(b[:0], &id))
}

// Short returns the first 8 characters of [ID.String], for people to tell peers
// apart on a screen. It is 40 bits: anybody can make a key with a given short
// form, so it must never decide anything.
func (id ID) Short() string {
	s := id.String()
	return s[:min(shortLen, len(s))]
}

// IsZero reports whether id is the zero ID, "no peer".
func (id ID) IsZero() bool { return id == ID{} }

// PublicKey returns the key as crypto/ed25519 wants it, in memory of its own.
func (id ID) PublicKey() ed25519.PublicKey { return id[:] }

// Compare orders ids by their bytes: -1 if id comes before other, 0 if they are
// equal, +1 if it comes after. Both ends of a connection use it to agree on
// something without talking.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// AppendText implements [encoding.TextAppender]. The zero ID is the empty text,
// so that an absent peer survives a round trip. The error is always nil.
func (id ID) AppendText(b []byte) ([]byte, error) {
	if id.IsZero() {
		return b, nil
	}
	return appendZBase32(b, &id), nil
}

// MarshalText implements [encoding.TextMarshaler]; see [ID.AppendText].
func (id ID) MarshalText() ([]byte, error) {
	return id.AppendText(make([]byte, 0, idTextLen))
}

// UnmarshalText implements [encoding.TextUnmarshaler]. The empty text is the
// zero ID; anything else is parsed as [ParseID] does. On error id is unchanged.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
