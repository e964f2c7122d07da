package main

import (
	"errors"
	"fmt"

	"parley/dispatch"
	"parley/socket"
	"parley/wire"
)

// reasonLeft is the reason of who has left in good order.
const reasonLeft = "left"

// outsider is why a peer could not be reached by one who is in no private network.
type outsider struct{ error }

func (o *outsider) Unwrap() error { return o.error }

// reason says in a user's words why a peer has left or cannot be reached.
func reason(err error) string {
	if err == nil {
		return reasonLeft
	}
	var said *socket.PeerError
	theirs := errors.As(err, &said)
	switch socket.CodeOf(err) {
	case socket.Timeout:
		return "no answer"
	case socket.Authentication:
		if _, ok := errors.AsType[*outsider](err); ok && theirs {
			return "authentication failed: it is in a private network; ask for its secret (-network-secret-file)"
		}
		if theirs {
			return "authentication failed: it is not in the private network that we are in"
		}
		return "authentication failed: " + oneLine(root(err))
	case socket.Refused:
		if theirs {
			return "it refuses us"
		}
		return oneLine(root(err))
	case socket.Superseded, socket.StateLost:
		return "it began anew"
	case socket.Closed:
		return reasonLeft
	case socket.Version:
		return "it speaks another version of the protocol"
	case socket.Limit:
		if theirs {
			return "it is full"
		}
		return oneLine(root(err))
	}
	var status *dispatch.PeerError
	var failed *dispatch.Error
	switch {
	case errors.As(err, &status) && status.Code == wire.Unavailable:
		return reasonLeft
	case errors.As(err, &status):
		return clean(fmt.Sprintf("it says %v: %s", status.Code, status.Message))
	case errors.As(err, &failed) && failed.Code != wire.Unavailable:
		return "it broke the rules: " + oneLine(root(err))
	}
	return oneLine(root(err))
}

// outage says why a session has no connection. Of most errors it would be wrong to say
// what they mean at a session's end: a peer that closed a connection need not have left.
func outage(err error) string {
	if socket.CodeOf(err) == socket.Timeout {
		return "no answer"
	}
	return "the connection was lost"
}

// began reports whether err says that the peer has begun anew: it is about to be back.
func began(err error) bool {
	return errors.Is(err, socket.Superseded) || errors.Is(err, socket.StateLost)
}

// root is the innermost error.
func root(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
