package peer

import (
	"bytes"
	"errors"
	"fmt"
)

// Bounds of a network-secret file, in bytes, the trailing newline not counted
// in the minimum.
const (
	// MinSecretLen is the least that [LoadSecret] accepts. Sixteen random bytes
	// cannot be guessed; sixteen characters of a sentence may be, and a
	// member who leaves the network can try guesses at leisure.
	MinSecretLen = 16
	// MaxSecretFile is the largest file that [LoadSecret] reads.
	MaxSecretFile = 4 << 10
)

// A Secret holds the bytes that the members of a private network share
// (requirement I4). It prints, encodes and logs as "redacted", cannot be compared
// with ==, and is immutable and safe for concurrent use. The zero Secret means
// "no secret".
type Secret struct {
	redacted
	reveal func() []byte
}

// NewSecret returns a Secret holding a copy of b; an empty b gives the zero
// Secret. It sets no minimum: b may come from a key derivation or a vault.
func NewSecret(b []byte) Secret {
	if len(b) == 0 {
		return Secret{}
	}
	b = bytes.Clone(b)
	return Secret{reveal: func() []byte { return b }}
}

// Reveal returns a copy of the secret bytes, nil for the zero Secret. Feed them
// to a MAC or key derivation; compare them, if ever, with crypto/subtle.
func (s Secret) Reveal() []byte {
	if s.reveal == nil {
		return nil
	}
	return bytes.Clone(s.reveal())
}

// IsZero reports whether s is the zero Secret, "no secret".
func (s Secret) IsZero() bool { return s.reveal == nil }

// LoadSecret reads a network secret from a file that only its owner may access,
// by the rules of [LoadKey]. One trailing newline, as editors add, is not part
// of the secret; every other byte is. Fewer than [MinSecretLen] bytes are
// refused, as is a file larger than [MaxSecretFile]. The error is a *[FileError].
func LoadSecret(path string) (Secret, error) {
	file := privateFile{what: "network-secret file", path: path, limit: MaxSecretFile}
	remedy := "make one with: (umask 077; head -c 32 /dev/urandom | base64 > " + shellQuote(path) + ") and give every member the same"
	b, err := file.read()
	if errors.Is(err, ErrFileEmpty) {
		return Secret{}, file.fail(ErrFileEmpty, nil, remedy)
	}
	if err != nil {
		return Secret{}, err
	}
	if trimmed, ok := bytes.CutSuffix(b, []byte("\n")); ok {
		b = bytes.TrimSuffix(trimmed, []byte("\r"))
	}
	if len(b) < MinSecretLen {
		return Secret{}, file.fail(ErrShortSecret,
			fmt.Errorf("%d bytes, need at least %d", len(b), MinSecretLen), remedy)
	}
	return NewSecret(b), nil
}
