package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"parley/peer"
	"parley/wire"
)

// ErrWouldBlock is returned by [Conversation.TrySend] when the peer has not
// granted enough credit. Nothing was sent.
var ErrWouldBlock = errors.New("dispatch: no credit")

// Error says that this side failed: the message could not be sent, no answer
// came in time, a limit of this side was reached, or what came made no sense.
type Error struct {
	Code wire.Code // never OK
	Op   string    // what was being done: "ask", "notify", "open", "send", "request", "reply", "do"; "conversation" or "session" for its end
	Peer peer.ID   // with whom; may be zero
	Err  error     // why; may be nil
}

// Error describes the failure in one line.
func (e *Error) Error() string {
	s := "dispatch: " + e.Op
	if !e.Peer.IsZero() {
		s += " " + e.Peer.Short()
	}
	return s + ": " + e.reason()
}

// reason is Error without what was being done with whom.
func (e *Error) reason() string {
	s := e.Code.String()
	switch why := e.Err.(type) { //nolint:errorlint // only what is said here must not be said again
	case nil:
		return s
	case *Error:
		if why.Code == e.Code {
			return why.reason()
		}
		return s + ": " + why.Op + ": " + why.reason()
	}
	text := e.Err.Error()
	for _, prefix := range []string{"dispatch: ", "parley: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return s + ": " + text
}

// during returns e as the failure of op.
func (e *Error) during(op string) *Error {
	return &Error{Code: e.Code, Op: op, Peer: e.Peer, Err: e.Err}
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error whose Code, Op and Peer, as far as they
// are set, are those of e: errors.Is(err, &dispatch.Error{Code: wire.Unavailable}).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Err == nil && (t.Code == wire.OK || t.Code == e.Code) && (t.Op == "" || t.Op == e.Op) &&
		(t.Peer.IsZero() || t.Peer == e.Peer)
}

// PeerError is a status that the peer sent: the peer said so. Message is the
// peer's text and not to be trusted.
type PeerError struct {
	Code    wire.Code // never OK
	Message string    // at most wire.MaxStatusMessage bytes
	Peer    peer.ID
}

// Error describes the status in one line. The peer's text is quoted.
func (e *PeerError) Error() string {
	s := "dispatch: peer " + e.Peer.Short() + " says " + e.Code.String()
	if e.Message != "" {
		s += fmt.Sprintf(": %q", e.Message)
	}
	return s
}

// Is reports whether target is a *PeerError whose Code and Peer, as far as they
// are set, are those of e: errors.Is(err, &dispatch.PeerError{Code: wire.NotFound}).
func (e *PeerError) Is(target error) bool {
	t, ok := target.(*PeerError)
	return ok && t.Message == "" && (t.Code == wire.OK || t.Code == e.Code) && (t.Peer.IsZero() || t.Peer == e.Peer)
}

// statusError is what a handler wants the peer to be told.
type statusError struct {
	code wire.Code
	text string
}

// Error does not name the code: an Error or PeerError around it does.
func (e *statusError) Error() string {
	if e.text == "" {
		return e.code.String()
	}
	return e.text
}

// Errorf returns an error for a handler to return: the peer is told this code and
// text, cut to wire.MaxStatusMessage bytes. The error's own text is that text;
// [CodeOf] finds the code. Of any other error a handler returns
// the peer learns only that there was one (code Unknown), or that the context had
// ended (Canceled, DeadlineExceeded): what went wrong inside is not the peer's to
// know. A code outside the set, or OK, becomes Unknown.
func Errorf(code wire.Code, format string, args ...any) error {
	if !code.Valid() || code == wire.OK {
		code = wire.Unknown
	}
	return &statusError{code, cutText(fmt.Sprintf(format, args...))}
}

// cutText makes s fit a status: valid UTF-8 of at most wire.MaxStatusMessage bytes.
func cutText(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= wire.MaxStatusMessage {
		return s
	}
	s = s[:wire.MaxStatusMessage]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

// CodeOf returns the code that an error stands for: OK for nil, that of an
// *Error, a *PeerError or an Errorf in its chain, those of the context errors,
// ResourceExhausted for ErrWouldBlock, otherwise Unknown.
func CodeOf(err error) wire.Code {
	var (
		local *Error
		said  *PeerError
		own   *statusError
	)
	switch {
	case err == nil:
		return wire.OK
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &said):
		return said.Code
	case errors.As(err, &local):
		return local.Code
	case errors.Is(err, context.Canceled):
		return wire.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return wire.DeadlineExceeded
	case errors.Is(err, ErrWouldBlock):
		return wire.ResourceExhausted
	}
	return wire.Unknown
}

// statusFor returns what the peer is told of a handler's error, and whether that
// is all there is to it.
func statusFor(err error) (code wire.Code, text string, whole bool) {
	var own *statusError
	switch {
	case err == nil:
		return wire.OK, "", true
	case errors.As(err, &own):
		return own.code, own.text, true
	case errors.Is(err, context.Canceled):
		return wire.Canceled, "canceled", true
	case errors.Is(err, context.DeadlineExceeded):
		return wire.DeadlineExceeded, "the time ran out", true
	}
	return wire.Unknown, "the handler failed", false
}

// ctxError says that a context ended what op was doing.
func ctxError(ctx context.Context, op string, p peer.ID) *Error {
	return &Error{Code: CodeOf(ctx.Err()), Op: op, Peer: p, Err: context.Cause(ctx)}
}

func unavailable(op string, p peer.ID, why error) *Error {
	return &Error{Code: wire.Unavailable, Op: op, Peer: p, Err: why}
}

// sendFailure says why the transport did not take a block, and whether the peer may
// get it all the same.
func sendFailure(op string, p peer.ID, err error, size int) (e *Error, maybeSent bool) {
	if tooLarge(err) {
		return &Error{Code: wire.ResourceExhausted, Op: op, Peer: p, Err: fmt.Errorf("a message of %d bytes is over the limit: %w", size, err)}, false
	}
	return unavailable(op, p, err), size > wire.MaxLaneBlock
}

// tooLarge reports whether a transport says that a block is over a limit, see
// [Transport].
func tooLarge(err error) bool {
	large, ok := errors.AsType[interface {
		error
		TooLarge() bool
	}](err)
	return ok && large.TooLarge()
}

// errNoReply is a handler's fault.
var errNoReply = Errorf(wire.Internal, "the handler returned no reply")

// Errors of arguments.
var (
	errNoPeer = errors.New("no peer id is given")
	errSelf   = errors.New("that is this side's own peer id")
)

var errNoMessage = errors.New("no message")

func tooMany(op string, p peer.ID, what string) *Error {
	return &Error{Code: wire.ResourceExhausted, Op: op, Peer: p, Err: errors.New("too many " + what)}
}
