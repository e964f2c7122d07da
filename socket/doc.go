// Package socket moves opaque blocks and byte streams between two keys.
//
// A [Host] is one key on one UDP socket, used to listen and to dial. Between two hosts there is at most
// one [Session], whoever dialled (C2): an authenticated, encrypted channel that carries
//
//   - reliable blocks ([Session.Send], B1–B3): up to 64 KiB on one of a few long-lived lanes, in order within a lane,
//     independent between lanes; larger ones on a stream of their own;
//   - best-effort blocks ([Session.SendBestEffort], B2): datagrams where they fit, else promoted to reliable;
//   - byte streams ([Stream], B4): net.Conns with half-close, opened without a round trip.
//
// The package knows nothing of what the blocks contain. A program that wants typed messages and
// conversations puts package dispatch on top: a *Host is a dispatch.Transport.
//
// # Identity
//
// Every connection is TLS 1.3 with X25519MLKEM768, both ways, without any certificate authority: the
// certificate carries the Ed25519 key and the key is the identity (I1, I5). A dialler names the key it
// wants; when another answers, the dial fails with [Authentication] and nothing has been sent to it. No
// byte is handed up before the peer's key has been admitted (I6) and, on a private network, its
// knowledge of the network secret has been checked (I4).
//
// # Connections and sessions
//
// A connection is one path; a session may for a while have several, for instance when both sides dial
// at once. Both sides then agree, without a further exchange, on the best one, move their sending
// there, drain the others and close them. A session outlives its connections (C9): when the last one dies,
// what is not acknowledged is kept and goes on, in order and once, on the next, which the host makes by itself.
// Events of [Host.Observe] and [Session.Condition] say how it is. A session ends when either side closes it, after
// Config.Retention without a connection or when Config.Reconnect gives it up, when the peer has lost its state or breaks
// the protocol, when one of the two begins anew, or for want of room; the event Over and errors say which.
//
// # Errors
//
// [*Error] means that we failed, [*PeerError] that the peer said so. Both match a [Code]:
//
//	if errors.Is(err, socket.Authentication) { … }
package socket
