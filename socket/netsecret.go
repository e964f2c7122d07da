package socket

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"

	"golang.org/x/crypto/argon2"

	"parley/peer"
)

// The network secret (I4). Both sides prove to know it by a MAC over a value that only the two ends of
// this TLS connection can compute (RFC 9266 style channel binding), over both identities and the
// prover's role: a proof can be neither replayed on another connection nor reflected to its sender
// (threats T2, T8).
const (
	exporterLabel = "EXPORTER-parley-network-secret"
	exporterSize  = 32
	proofDomain   = "parley/1 network secret"
)

// Argon2id's parameters: RFC 9106's second recommendation (64 MiB, 3 passes), once per host. They make
// guessing a weak secret from a recorded proof cost what guessing a password hash costs (threat T30).
// Recording one takes an active attacker that completes a handshake.
const (
	argonPasses  = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
)

type role byte

const (
	dialler  role = 'D'
	listener role = 'L'
)

// prover makes and checks proofs. A nil prover is an open network, whose proof is empty.
type prover struct{ key []byte }

func newProver(secret peer.Secret) *prover {
	if secret.IsZero() {
		return nil
	}
	return &prover{argon2.IDKey(secret.Reveal(), []byte(proofDomain), argonPasses, argonMemory, argonThreads, sha256.Size)}
}

// proof is what the side with role r sends on a connection from dial to listen whose exporter is ekm.
func (p *prover) proof(r role, dial, listen peer.ID, ekm []byte) []byte {
	if p == nil {
		return nil
	}
	m := hmac.New(sha256.New, p.key)
	m.Write([]byte(proofDomain))
	m.Write([]byte{byte(r)})
	m.Write(dial[:])
	m.Write(listen[:])
	m.Write(ekm)
	return m.Sum(nil)
}

// check reports whether got is the proof of the side with role r. On an open network only the empty
// proof passes: peers of a private one are strangers.
func (p *prover) check(got []byte, r role, dial, listen peer.ID, ekm []byte) bool {
	return subtle.ConstantTimeCompare(got, p.proof(r, dial, listen, ekm)) == 1
}
