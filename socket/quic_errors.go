package socket

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/quic-go/quic-go"

	"parley/peer"
)

// tlsAlertBase is where TLS alerts begin among QUIC's transport error codes (RFC 9001, 4.8).
const tlsAlertBase = 0x100

// quicError translates quic-go's errors into those of this package. What the peer said becomes a
// *PeerError, everything else an *Error.
func quicError(op string, id peer.ID, err error) error {
	var (
		mine, theirs = func(c Code) error { return &Error{Code: c, Op: op, Peer: id, Err: err} },
			func(c Code, msg string) error { return &PeerError{Code: c, Op: op, Peer: id, Message: clip(msg)} }

		app       *quic.ApplicationError
		transport *quic.TransportError
		str       *quic.StreamError
		idle      *quic.IdleTimeoutError
		handshake *quic.HandshakeTimeoutError
		reset     *quic.StatelessResetError
		version   *quic.VersionNegotiationError
		ours      *Error
		already   *PeerError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours), errors.As(err, &already):
		return err
	case errors.As(err, &app):
		code := closeCode(app.ErrorCode)
		if app.Remote {
			return &PeerError{Code: code.meaning(), Op: op, Peer: id, Message: clip(app.ErrorMessage), close: code + 1}
		}
		return &Error{Code: code.meaning(), Op: op, Peer: id, close: code + 1}
	case errors.As(err, &str):
		code := resetCode(str.ErrorCode)
		switch {
		case !str.Remote:
			return mine(Closed)
		case code >= resetUser:
			return &ResetError{Code: uint32(code - resetUser), Peer: id}
		}
		return &PeerError{Code: code.meaning(), Op: op, Peer: id, reset: true, moved: code == resetMoved}
	case errors.As(err, &transport):
		return transportError(transport, mine, theirs)
	case errors.As(err, &idle), errors.As(err, &handshake), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return mine(Timeout)
	case errors.As(err, &reset):
		return theirs(Superseded, "the peer has no memory of this connection: it restarted")
	case errors.As(err, &version):
		return mine(Version)
	case errors.Is(err, quic.ErrStreamClosed), errors.Is(err, quic.ErrTransportClosed), errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return mine(Closed)
	}
	return mine(Internal)
}

func transportError(e *quic.TransportError, mine func(Code) error, theirs func(Code, string) error) error {
	alert := e.ErrorCode >= tlsAlertBase && e.ErrorCode < 2*tlsAlertBase
	switch {
	case alert && e.Remote:
		return theirs(Authentication, e.ErrorMessage)
	case alert:
		return mine(Authentication)
	case e.ErrorCode == quic.ConnectionRefused && e.Remote:
		return theirs(Refused, e.ErrorMessage)
	case e.Remote:
		return theirs(Protocol, e.ErrorMessage)
	}
	return mine(Protocol)
}

// maxPeerMessage bounds what of a peer's words is kept.
const maxPeerMessage = 256

func clip(s string) string { return s[:min(len(s), maxPeerMessage)] }
