package main

import (
	"errors"
	"testing"

	"parley/socket"
)

// TestOutage: what ended one connection is not said as if the session had ended of it.
func TestOutage(t *testing.T) {
	for want, errs := range map[string][]error{
		"no answer": {&socket.Error{Code: socket.Timeout}, &socket.PeerError{Code: socket.Timeout}},
		"the connection was lost": {
			&socket.PeerError{Code: socket.Closed},
			&socket.PeerError{Code: socket.Superseded},
			errors.New("network is unreachable"),
		},
	} {
		for _, err := range errs {
			if got := outage(err); got != want {
				t.Errorf("%v: %q, not %q", err, got, want)
			}
		}
	}
}

func TestReasonOfRestart(t *testing.T) {
	for _, code := range []socket.Code{socket.Superseded, socket.StateLost} {
		err := &socket.PeerError{Code: code}
		if got := reason(err); got != "it began anew" || !began(err) {
			t.Errorf("%v: %q", code, got)
		}
	}
}
