package socket

import (
	"context"
	"testing"
)

// A link that is being left opens no stream, and is left only when all its own are complete: the peer may
// close it as soon as it is told.
func TestDrainingLinkOpensNothing(t *testing.T) {
	n := &link{session: newTestSession(t)}
	if !n.begin() || n.drained() {
		t.Fatal("a fresh link does not open streams")
	}
	n.drain()
	if n.begin() {
		t.Error("a stream was opened on a link that is being left")
	}
	if n.drained() {
		t.Error("left with a stream under way")
	}
	n.complete()
	if !n.drained() {
		t.Error("not left although everything is complete")
	}
}

// newTestSession is a session that is over, so that nothing waits for its loop.
func newTestSession(t *testing.T) *Session {
	t.Helper()
	s := &Session{events: make(chan event)}
	s.life, s.end = context.WithCancelCause(context.Background())
	s.end(&Error{Code: Closed})
	return s
}
