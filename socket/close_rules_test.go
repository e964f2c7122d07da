package socket_test

import (
	"context"
	"testing"
	"time"

	"parley/socket"
	"parley/wire"
)

// closing is a Close frame.
func closing(reason uint32) *wire.Control {
	return &wire.Control{Kind: &wire.ControlClose{Close: &wire.Close{Reason: reason}}}
}

// Close is said again on the next connection, and answered there.
func TestCloseResumes(t *testing.T) { // SE4, SE15
	inWorld(t, func(w *world) {
		first := w.meet()
		s := first.session()
		if err := s.Send(context.Background(), 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- s.Close(context.Background()) }()
		first.silent("Close before everything is acknowledged", time.Second, func(m *wire.Control) bool { return m.GetClose() != nil })
		_ = first.c.CloseWithError(9, "")
		second := first.x.wild(first.b, first.resumes)
		second.sayReceived(0, 1)
		graceful := func(m *wire.Control) bool { return m.GetClose() != nil && m.GetClose().GetReason() == 0 }
		second.until(graceful)
		_ = second.c.CloseWithError(9, "")
		third := first.x.wild(first.b, func(h *wire.Hello) { first.resumes(h); h.Generation = 2 })
		third.until(graceful)
		third.say(&wire.Control{Kind: &wire.ControlClosed{Closed: &wire.Closed{}}})
		if got := fate(third.c, nil); got != codeGraceful {
			t.Errorf("closed with %d", got)
		}
		if err := <-done; err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// Closed, too, is said again: the peer's Close was heard.
func TestClosedResumes(t *testing.T) { // SE4, SE15
	inWorld(t, func(w *world) {
		first := w.meet()
		s := first.session()
		isClosed := func(m *wire.Control) bool { return m.GetClosed() != nil }
		if err := s.Send(context.Background(), 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
		<-time.After(rtt)
		first.say(closing(0))
		first.silent("Closed before everything is acknowledged", time.Second, isClosed)
		_ = first.c.CloseWithError(9, "")
		second := first.x.wild(first.b, first.resumes)
		second.sayReceived(0, 1)
		second.until(isClosed)
		third := first.x.wild(first.b, func(h *wire.Hello) { first.resumes(h); h.Generation = 2 })
		third.until(isClosed)
		_ = third.c.CloseWithError(0, "")
		<-s.Done()
		wantCode(t, s.Err(), socket.Closed)
	})
}

// What a closing session may not hear.
func TestBadClose(t *testing.T) { // SE15
	for name, m := range map[string]*wire.Control{
		"Closed without Close": {Kind: &wire.ControlClosed{Closed: &wire.Closed{}}},
		"reason 2":             closing(2),
		"reason 11":            closing(11),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.meet()
				p.say(m)
				p.refused()
			})
		})
	}
}
