package peer

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// MaxKeyFile is the largest key file that is read, in bytes. OpenSSH's Ed25519
// files take about 400, or 500 when encrypted, and the comment.
const MaxKeyFile = 16 << 10

// The OpenSSH private-key format, openssh-portable PROTOCOL.key.
const (
	pemType   = "OPENSSH PRIVATE KEY"
	pemBegin  = "-----BEGIN " + pemType + "-----"
	sshMagic  = "openssh-key-v1\x00"
	noCipher  = "none"
	maxDetail = 120 // bytes of a parser's error that are passed on
)

// sshEnvelope is the part of the format that can be read without the passphrase.
type sshEnvelope struct {
	Cipher     string
	KDF        string
	KDFOptions string
	NumKeys    uint32
	PublicKey  []byte
	Private    []byte
}

// A keyProblem is one of the sentinels of FileError with a detail.
type keyProblem struct {
	problem error
	cause   error
}

func (p *keyProblem) Error() string { return fmt.Sprint(p.problem, ": ", p.cause) }

func malformed(cause error) error { return &keyProblem{ErrKeyMalformed, shorten(cause)} }

// parseKey parses the content of a key file. It is strict where OpenSSH is:
// the file begins with the PEM line, holds one key, and nothing but white space follows. Every error
// is a *keyProblem.
func parseKey(content, passphrase []byte) (*Key, error) {
	if !bytes.HasPrefix(content, []byte(pemBegin)) {
		return nil, foreignKey(content)
	}
	block, rest := pem.Decode(content)
	if block == nil {
		return nil, malformed(errors.New("it is cut short or damaged"))
	}
	if block.Type != pemType || len(block.Headers) != 0 || len(bytes.TrimSpace(rest)) != 0 {
		return nil, malformed(errors.New("it holds more than one key or other text"))
	}
	blob, ok := bytes.CutPrefix(block.Bytes, []byte(sshMagic))
	if !ok {
		return nil, malformed(errors.New("unknown format version"))
	}
	var envelope sshEnvelope
	if err := ssh.Unmarshal(blob, &envelope); err != nil {
		return nil, malformed(err)
	}
	public, err := ssh.ParsePublicKey(envelope.PublicKey)
	if err != nil {
		return nil, malformed(err)
	}
	// Before asking for a passphrase: no passphrase makes another key fit.
	if public.Type() != ssh.KeyAlgoED25519 {
		return nil, &keyProblem{ErrKeyAlgorithm, fmt.Errorf("it is an %s key", public.Type())}
	}
	switch encrypted := envelope.Cipher != noCipher; {
	case encrypted && len(passphrase) == 0:
		return nil, &keyProblem{problem: ErrPassphraseNeeded}
	case !encrypted && len(passphrase) != 0:
		return nil, &keyProblem{problem: ErrKeyNotEncrypted}
	}
	private, err := decryptKey(content, passphrase)
	if err != nil {
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, &keyProblem{problem: ErrPassphraseWrong}
		}
		return nil, malformed(err)
	}
	key, err := keyFromParsed(private)
	if err != nil {
		return nil, malformed(err)
	}
	// The readable half is what tools show; it must not be another peer's.
	outer, ok := public.(ssh.CryptoPublicKey).CryptoPublicKey().(ed25519.PublicKey)
	if !ok || !outer.Equal(key.id.PublicKey()) {
		return nil, malformed(errors.New("its public part names another key"))
	}
	// True of every key made from a seed; checked all the same, since an ID
	// that ParseID refuses could not be told to anybody.
	if err := checkPoint((*[32]byte)(&key.id)); err != nil {
		return nil, malformed(err)
	}
	return key, nil
}

func decryptKey(content, passphrase []byte) (ed25519.PrivateKey, error) {
	var raw any
	var err error
	if len(passphrase) == 0 {
		raw, err = ssh.ParseRawPrivateKey(content)
	} else {
		raw, err = ssh.ParseRawPrivateKeyWithPassphrase(content, passphrase)
	}
	if err != nil {
		return nil, err
	}
	private, ok := raw.(*ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("its private part is of another algorithm than its public part")
	}
	return *private, nil
}

// foreignKey says what a file that is no OpenSSH private key might be.
func foreignKey(content []byte) error {
	if bytes.HasPrefix(content, []byte("ssh-ed25519 ")) {
		return malformed(errors.New("it is a public key; name the file without .pub"))
	}
	if block, _ := pem.Decode(content); block != nil {
		for _, algorithm := range []string{"RSA", "EC", "DSA"} {
			if block.Type == algorithm+" PRIVATE KEY" {
				return &keyProblem{ErrKeyAlgorithm, fmt.Errorf("it is an %s key", algorithm)}
			}
		}
		if block.Type == "PRIVATE KEY" || block.Type == "ENCRYPTED PRIVATE KEY" {
			return malformed(errors.New("it is a PKCS #8 key"))
		}
	}
	return malformed(fmt.Errorf("it does not begin with %q", pemBegin))
}

// marshalKey returns the content of a key file. The comment names the id, so
// that ssh-keygen -l shows whose it is.
func marshalKey(k *Key, passphrase []byte) ([]byte, error) {
	private, comment := k.private(), "parley "+k.id.String()
	var block *pem.Block
	var err error
	if len(passphrase) == 0 {
		block, err = ssh.MarshalPrivateKey(private, comment)
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, comment, passphrase)
	}
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}

// shorten bounds an error that may quote the file.
func shorten(err error) error {
	s := printable(err.Error())
	if len(s) <= maxDetail {
		return errors.New(s)
	}
	return errors.New(strings.ToValidUTF8(s[:maxDetail], "") + "...")
}
