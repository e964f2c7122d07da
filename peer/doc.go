// Package peer says who a peer is.
//
// A peer is an Ed25519 public key (requirement I1). There is no registry and no
// certificate authority: whoever can sign with the key is the peer, wherever it
// is and however often its address changes. [ID] is that key, [Key] the private
// half, kept in an OpenSSH private-key file (I2) so that ssh-keygen can make,
// inspect and re-encrypt it. [Secret] is the optional secret of a private
// network (I4), [Policy] the list of peers a program is willing to talk to (I6).
//
// IDs are public and print themselves. Private keys and secrets print as
// "redacted" whatever is asked of them, and no error or log line of this package
// holds a byte of one.
package peer
