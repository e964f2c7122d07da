package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/peer"
	"parley/wire"
)

func TestErrors(t *testing.T) {
	who := dispatchtest.ID(1)
	local := &dispatch.Error{Code: wire.Unavailable, Op: "ask", Peer: who, Err: errors.New("why")}
	said := &dispatch.PeerError{Code: wire.NotFound, Message: "no\nunicorn", Peer: who}
	wrapped := fmt.Errorf("more: %w", said)
	for _, tc := range []struct {
		err, target error
		want        bool
	}{
		{local, &dispatch.Error{}, true},
		{local, &dispatch.Error{Code: wire.Unavailable, Peer: who}, true},
		{local, &dispatch.Error{Code: wire.Aborted}, false},
		{local, &dispatch.Error{Peer: peer.ID{1}}, false},
		{local, &dispatch.PeerError{}, false},
		{wrapped, &dispatch.PeerError{Code: wire.NotFound}, true},
		{wrapped, &dispatch.PeerError{Code: wire.Aborted}, false},
		{wrapped, &dispatch.Error{}, false},
	} {
		if got := errors.Is(tc.err, tc.target); got != tc.want {
			t.Errorf("errors.Is(%v, %#v) = %v", tc.err, tc.target, got)
		}
	}
	for err, code := range map[error]wire.Code{
		nil: wire.OK, errors.New("x"): wire.Unknown, wrapped: wire.NotFound, local: wire.Unavailable,
		context.Canceled: wire.Canceled, context.DeadlineExceeded: wire.DeadlineExceeded,
		dispatch.ErrWouldBlock:            wire.ResourceExhausted,
		dispatch.Errorf(wire.Aborted, ""): wire.Aborted, dispatch.Errorf(99, ""): wire.Unknown, dispatch.Errorf(wire.OK, ""): wire.Unknown,
	} {
		if got := dispatch.CodeOf(err); got != code {
			t.Errorf("CodeOf(%v) = %v", err, got)
		}
	}
	if s := said.Error(); strings.Contains(s, "\n") {
		t.Errorf("a peer's line break passes: %q", s)
	}
	long := dispatch.Errorf(wire.Aborted, "%s", strings.Repeat("é", wire.MaxStatusMessage)).Error()
	if n := len(long); n > wire.MaxStatusMessage || n < wire.MaxStatusMessage-1 {
		t.Errorf("a long text is cut to %d bytes", n)
	}
}
