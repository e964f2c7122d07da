package peer

import (
	"bytes"
	"strings"
	"testing"
)

// I4: the file's bytes are the secret, less the newline that editors add.
func TestLoadSecret(t *testing.T) {
	const text = "0123456789abcdef"
	for content, want := range map[string]string{
		text:               text,
		text + "\n":        text,
		text + "\r\n":      text,
		text + "\n\n":      text + "\n",
		" " + text + " \n": " " + text + " ",
		text + "\r":        text + "\r",
	} {
		s, err := LoadSecret(writeFile(t, []byte(content), 0o600))
		if err != nil || string(s.Reveal()) != want || s.IsZero() {
			t.Errorf("%q read as %q, %v", content, s.Reveal(), err)
		}
	}
}

func TestLoadSecretRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content string
		problem error
		text    string
	}{
		{"one byte short", "0123456789abcde", ErrShortSecret, "15 bytes, need at least 16"},
		{"long enough only with its newline", "0123456789abcde\n", ErrShortSecret, "head -c 32 /dev/urandom"},
		{"empty", "", ErrFileEmpty, "head -c 32 /dev/urandom"},
		{"too large", strings.Repeat("x", MaxSecretFile+1), ErrFileTooLarge, "4096"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := writeFile(t, []byte(tt.content), 0o600)
			s, err := LoadSecret(path)
			wantFileError(t, err, path, tt.problem, tt.text)
			if !s.IsZero() {
				t.Error("a secret came with the error")
			}
			if tt.content != "" && strings.Contains(err.Error(), tt.content[:8]) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestLoadSecretRefusesLooseMode(t *testing.T) {
	needUnixModes(t)
	path := writeFile(t, []byte("0123456789abcdef"), 0o644)
	_, err := LoadSecret(path)
	wantFileError(t, err, path, ErrFileMode, "network-secret file "+path+" is open to others (mode 0644); type: chmod 600")
}

// A Secret shares memory with nobody.
func TestSecretCopies(t *testing.T) {
	b := []byte("0123456789abcdef")
	s := NewSecret(b)
	clear(b)
	clear(s.Reveal())
	if !bytes.Equal(s.Reveal(), []byte("0123456789abcdef")) {
		t.Errorf("secret is now %q", s.Reveal())
	}
}

func TestZeroSecret(t *testing.T) {
	for _, s := range []Secret{{}, NewSecret(nil), NewSecret([]byte{})} {
		if !s.IsZero() || s.Reveal() != nil {
			t.Errorf("IsZero %v, Reveal %v", s.IsZero(), s.Reveal())
		}
	}
}
