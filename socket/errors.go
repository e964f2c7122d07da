package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"parley/peer"
)

// Code classifies an error (C15). The set is closed. A Code is itself an error, to be the target of
// errors.Is: errors.Is(err, socket.Timeout).
type Code uint8

// The codes.
const (
	Internal       Code = iota + 1 // a fault of this program, or of the network below it
	Refused                        // not admitted, by us or by the peer; or an address or name that cannot be used
	Timeout                        // no answer within the handshake, send or idle timeout, or the context's; UDP to nobody looks so
	Authentication                 // another key answered, or the network secret differs
	Closed                         // the session, host or stream was closed
	Superseded                     // the peer began anew, or the same key connected from elsewhere
	TooLarge                       // a block or frame above a limit
	NotFound                       // no session with that peer; no such host name; no such service
	Protocol                       // bytes that no honest implementation of the protocol sends
	Limit                          // a limit on resources was reached; the error names it
	Version                        // the two sides share no protocol version
	StateLost                      // one side no longer knows the session: it restarted, or gave it up; what was under way is lost
	WouldBlock                     // a buffer is full, and the call was not to wait
)

var codeNames = [...]string{
	Internal: "internal", Refused: "refused", Timeout: "timeout", Authentication: "authentication failed", Closed: "closed",
	Superseded: "superseded", TooLarge: "too large", NotFound: "not found", Protocol: "protocol violation", Limit: "limit reached",
	Version: "no common version", StateLost: "session state lost", WouldBlock: "would block",
}

func (c Code) String() string {
	if int(c) < len(codeNames) && codeNames[c] != "" {
		return codeNames[c]
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Error makes a Code usable as the target of errors.Is.
func (c Code) Error() string { return c.String() }

// Error is a failure found on this side.
type Error struct {
	Code Code
	Op   string  // what was being done: "dial", "send", …
	Peer peer.ID // with whom; may be zero
	Err  error   // the cause; may be nil

	close closeCode // 1 + the code with which we closed the connection; 0 if that is not what happened
}

func (e *Error) Error() string { return describe(e.Op, e.Peer, e.Code.String(), e.Err) }

func describe(op string, p peer.ID, what string, cause error) string {
	s := "parley: " + op
	if !p.IsZero() {
		s += " " + p.Short()
	}
	s += ": " + what
	if cause != nil {
		s += ": " + cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is this error's Code. A Timeout also is os.ErrDeadlineExceeded, and
// Closed is net.ErrClosed, as users of the net package expect.
func (e *Error) Is(target error) bool { return is(e.Code, target) }

// Timeout reports whether the error is a Timeout, for net.Error.
func (e *Error) Timeout() bool { return e.Code == Timeout }

// Temporary is false: a retry is the caller's decision. It completes net.Error.
func (*Error) Temporary() bool { return false }

// PeerError is what the other side said.
type PeerError struct {
	Code    Code
	Op      string  // what we were doing when it arrived
	Peer    peer.ID // who said so
	Message string  // the peer's words, at most 256 bytes, untrusted

	reset bool      // the peer reset a stream; the connection goes on
	moved bool      // because the stream goes on in another connection
	close closeCode // 1 + the code with which the peer closed the connection; 0 if that is not what happened
}

func (e *PeerError) Error() string {
	s := describe(e.Op, e.Peer, "peer says: "+e.Code.String(), nil)
	if e.Message != "" {
		s += fmt.Sprintf(" (%q)", e.Message)
	}
	return s
}

// Is reports whether target is this error's Code; Closed also is net.ErrClosed.
func (e *PeerError) Is(target error) bool { return is(e.Code, target) }

// Timeout reports whether the error is a Timeout, for net.Error.
func (e *PeerError) Timeout() bool { return e.Code == Timeout }

// Temporary is false; see [Error.Temporary].
func (*PeerError) Temporary() bool { return false }

var (
	_ net.Error = (*Error)(nil)
	_ net.Error = (*PeerError)(nil)
)

func is(c Code, target error) bool {
	t, ok := target.(Code)
	return ok && t == c ||
		c == Timeout && target == os.ErrDeadlineExceeded || //nolint:errorlint // errors.Is does the unwrapping
		c == Closed && target == net.ErrClosed //nolint:errorlint // likewise
}

// ctxError turns the end of ctx into an Error: Timeout for a deadline, else Closed with the cause.
func ctxError(ctx context.Context, op string, p peer.ID) *Error {
	cause := context.Cause(ctx)
	if e, ok := errors.AsType[*Error](cause); ok {
		return e
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return &Error{Code: Timeout, Op: op, Peer: p, Err: cause}
	}
	return &Error{Code: Closed, Op: op, Peer: p, Err: cause}
}

// CodeOf returns the Code of an error of this package, Internal for any other, 0 for nil.
func CodeOf(err error) Code {
	var e *Error
	var pe *PeerError
	var reset *ResetError
	var c Code
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Code
	case errors.As(err, &pe):
		return pe.Code
	case errors.As(err, &reset):
		return Closed
	case errors.As(err, &c):
		return c
	}
	return Internal
}
