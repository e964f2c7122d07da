package peer

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// testPassphrase opens the *_encrypted files under testdata/keys, which were
// made by OpenSSH 9.2's ssh-keygen and are nobody's keys.
const testPassphrase = "correct horse"

// testFile returns a file under testdata/keys.
func testFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "keys", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// idOfPub returns the id in an ssh-ed25519 public key line.
func idOfPub(t testing.TB, line []byte) ID {
	t.Helper()
	pub, _, _, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		t.Fatal(err)
	}
	id, err := IDFromPublicKey(pub.(ssh.CryptoPublicKey).CryptoPublicKey().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// rewrite changes the unencrypted envelope of a key file.
func rewrite(t testing.TB, content []byte, change func(*sshEnvelope)) []byte {
	t.Helper()
	block, _ := pem.Decode(content)
	var e sshEnvelope
	if err := ssh.Unmarshal(block.Bytes[len(sshMagic):], &e); err != nil {
		t.Fatal(err)
	}
	change(&e)
	block.Bytes = append([]byte(sshMagic), ssh.Marshal(e)...)
	return pem.EncodeToMemory(block)
}

// I2: what ssh-keygen makes is accepted.
func TestParseKeyOfSSHKeygen(t *testing.T) {
	plain, encrypted := testFile(t, "ed25519"), testFile(t, "ed25519_encrypted")
	for _, tt := range []struct {
		name, pub  string
		content    []byte
		passphrase string
	}{
		{"plain", "ed25519.pub", plain, ""},
		{"encrypted", "ed25519_encrypted.pub", encrypted, testPassphrase},
		{"CRLF", "ed25519.pub", bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n")), ""},
		{"no newline at the end", "ed25519.pub", bytes.TrimSpace(plain), ""},
		{"blank lines at the end", "ed25519.pub", append(bytes.Clone(plain), " \n\n"...), ""},
	} {
		k, err := parseKey(tt.content, []byte(tt.passphrase))
		if err != nil || k.ID() != idOfPub(t, testFile(t, tt.pub)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// I2: every other file is an error that says what is wrong, and shows nothing of the content.
func TestParseKeyRefuses(t *testing.T) {
	plain, encrypted := testFile(t, "ed25519"), testFile(t, "ed25519_encrypted")
	other := testKey(t, 7).ID()
	tests := []struct {
		name       string
		content    []byte
		passphrase string
		problem    error
		detail     string
	}{
		{"encrypted, no passphrase", encrypted, "", ErrPassphraseNeeded, ""},
		{"encrypted, wrong passphrase", encrypted, "correct hors", ErrPassphraseWrong, ""},
		{"not encrypted, passphrase", plain, testPassphrase, ErrKeyNotEncrypted, ""},
		{"RSA", testFile(t, "rsa"), "", ErrKeyAlgorithm, "ssh-rsa"},
		{"RSA, encrypted: no use asking for the passphrase", testFile(t, "rsa_encrypted"), "", ErrKeyAlgorithm, "ssh-rsa"},
		{"RSA in PEM", testFile(t, "rsa_pem"), "", ErrKeyAlgorithm, "RSA"},
		{"ECDSA", testFile(t, "ecdsa"), "", ErrKeyAlgorithm, "ecdsa-sha2-nistp256"},
		{"ECDSA, encrypted", testFile(t, "ecdsa_encrypted"), testPassphrase, ErrKeyAlgorithm, "ecdsa"},
		{"PKCS #8", testFile(t, "ed25519_pkcs8"), "", ErrKeyMalformed, "PKCS #8"},
		{"public key", testFile(t, "ed25519.pub"), "", ErrKeyMalformed, "without .pub"},
		{"text", []byte("hello\n"), "", ErrKeyMalformed, "does not begin with"},
		{"text before", append([]byte("# mine\n"), plain...), "", ErrKeyMalformed, "does not begin with"},
		{"text after", append(bytes.Clone(plain), "x"...), "", ErrKeyMalformed, "more than one key"},
		{"two keys", append(bytes.Clone(plain), plain...), "", ErrKeyMalformed, "more than one key"},
		{"PEM headers", bytes.Replace(plain, []byte("KEY-----\n"), []byte("KEY-----\nProc-Type: 4,ENCRYPTED\n\n"), 1), "", ErrKeyMalformed, "other text"},
		{"another version", pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: []byte("openssh-key-v2\x00abc")}), "", ErrKeyMalformed, "version"},
		{"nothing inside", pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: []byte(sshMagic)}), "", ErrKeyMalformed, ""},
		{"two keys inside", rewrite(t, plain, func(e *sshEnvelope) { e.NumKeys = 2 }), "", ErrKeyMalformed, "multi-key"},
		{"unknown KDF", rewrite(t, encrypted, func(e *sshEnvelope) { e.KDF = strings.Repeat("A", 3000) }), "x", ErrKeyMalformed, "unknown KDF"},
		{"months of bcrypt", rewrite(t, encrypted, func(e *sshEnvelope) {
			e.KDFOptions = string(ssh.Marshal(struct {
				Salt   string
				Rounds uint32
			}{"0123456789abcdef", 1 << 30}))
		}), "x", ErrKeyMalformed, "rounds"},
		{"public part of another key", rewrite(t, plain, func(e *sshEnvelope) {
			e.PublicKey = ssh.Marshal(struct {
				Name string
				Key  []byte
			}{ssh.KeyAlgoED25519, other[:]})
		}), "", ErrKeyMalformed, "names another key"},
		{"Ed25519 outside, RSA inside", rewrite(t, testFile(t, "rsa"), func(e *sshEnvelope) {
			e.PublicKey = ssh.Marshal(struct {
				Name string
				Key  []byte
			}{ssh.KeyAlgoED25519, other[:]})
		}), "", ErrKeyMalformed, "another algorithm"},
		{"halves of two keys", rewrite(t, plain, func(e *sshEnvelope) {
			pub := idOfPub(t, testFile(t, "ed25519.pub"))
			e.Private = bytes.ReplaceAll(e.Private, pub[:], other[:])
		}), "", ErrKeyMalformed, "do not belong together"},
		{"bad padding", rewrite(t, plain, func(e *sshEnvelope) { e.Private[len(e.Private)-1] ^= 1 }), "", ErrKeyMalformed, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := parseKey(tt.content, []byte(tt.passphrase))
			var p *keyProblem
			if !errors.As(err, &p) || p.problem != tt.problem || !strings.Contains(err.Error(), tt.detail) {
				t.Fatalf("error %v, want %v with %q", err, tt.problem, tt.detail)
			}
			if k != nil {
				t.Error("a key came with the error")
			}
			if len(err.Error()) > 250 || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error is not a short line: %q", err)
			}
		})
	}
}

// T28: a file cut anywhere, or with any byte changed, is an error or the same key; never another identity.
func TestParseKeyDamaged(t *testing.T) {
	content := testFile(t, "ed25519")
	want := idOfPub(t, testFile(t, "ed25519.pub"))
	whole := len(bytes.TrimSpace(content))
	for n := range whole {
		if _, err := parseKey(content[:n], nil); err == nil {
			t.Errorf("accepted when cut after %d of %d bytes", n, len(content))
		}
	}
	for i := range content {
		for _, mask := range []byte{1, 0x20, 0x80} {
			b := bytes.Clone(content)
			b[i] ^= mask
			if k, err := parseKey(b, nil); err == nil && k.ID() != want {
				t.Errorf("byte %d changed by %#x gives another identity", i, mask)
			}
		}
	}
}

// What is written is read back, as the same peer, with the id for a comment.
func TestMarshalKeyRoundTrip(t *testing.T) {
	k := testKey(t, 3)
	for _, passphrase := range []string{"", "pass phrase with ünïcode"} {
		content, err := marshalKey(k, []byte(passphrase))
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseKey(content, []byte(passphrase))
		if err != nil || back.ID() != k.ID() {
			t.Fatalf("read back with passphrase %q: %v", passphrase, err)
		}
		if len(content) > MaxKeyFile/8 {
			t.Errorf("%d bytes written, close to the limit for reading", len(content))
		}
	}
	content, _ := marshalKey(k, nil)
	block, _ := pem.Decode(content)
	if !bytes.Contains(block.Bytes, []byte("parley "+k.ID().String())) {
		t.Error("the comment does not name the id")
	}
}

// fuzzRounds is the most bcrypt that the fuzzer pays for.
const fuzzRounds = 1

// The parser neither panics nor makes a key that does not round-trip.
func FuzzKeyFile(f *testing.F) {
	for _, name := range []string{"ed25519", "ed25519_encrypted", "ed25519_pkcs8", "ed25519.pub", "ecdsa", "rsa_pem"} {
		f.Add(testFile(f, name), "")
	}
	cheap := rewrite(f, testFile(f, "ed25519_encrypted"), func(e *sshEnvelope) {
		e.KDFOptions = string(ssh.Marshal(struct {
			Salt   string
			Rounds uint32
		}{"0123456789abcdef", fuzzRounds}))
	})
	f.Add(cheap, testPassphrase)
	f.Fuzz(func(t *testing.T, content []byte, passphrase string) {
		if len(content) > MaxKeyFile || tooMuchBcrypt(content) {
			t.Skip("too much work for one input: its cost is the file's to choose")
		}
		k, err := parseKey(content, []byte(passphrase))
		if err != nil {
			var p *keyProblem
			if !errors.As(err, &p) || k != nil || len(err.Error()) > 250 {
				t.Fatalf("key %v, error %q", k, err)
			}
			return
		}
		again, err := marshalKey(k, nil)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseKey(again, nil); err != nil || back.ID() != k.ID() {
			t.Fatalf("read back: %v", err)
		}
	})
}

// tooMuchBcrypt reports whether parsing content with a passphrase would take long.
func tooMuchBcrypt(content []byte) bool {
	block, _ := pem.Decode(content)
	if block == nil {
		return false
	}
	var e sshEnvelope
	blob, _ := bytes.CutPrefix(block.Bytes, []byte(sshMagic))
	if err := ssh.Unmarshal(blob, &e); err != nil {
		return false
	}
	var options struct {
		Salt   string
		Rounds uint32
	}
	return ssh.Unmarshal([]byte(e.KDFOptions), &options) == nil && options.Rounds > fuzzRounds
}
