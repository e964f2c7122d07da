package socket_test

import (
	"context"
	"testing"
	"time"

	"parley/peer"
	"parley/socket"
)

// What a first contact costs, in round trips from Dial until the first block is handed up (C4): TLS takes one,
// Hello and Accept the next (CN3), and the block half of one more. The listener may send as soon as it has
// read Hello, so that its first block arrives together with what the dialler waits for.
func TestFirstFlight(t *testing.T) {
	for _, test := range []struct {
		name  string
		flies func(a, b *node) (to *node) // a dials, and one of them sends a block to the other
		want  time.Duration
	}{
		{"from the dialler", func(a, b *node) *node {
			_ = a.dial(b).Send(context.Background(), 0, []byte("first"))
			return b
		}, 5 * rtt / 2},
		{"from the listener", func(a, b *node) *node {
			go func() { _, _ = a.Dial(context.Background(), b.LocalID(), b.addr) }()
			_ = b.session(a).Send(context.Background(), 0, []byte("first"))
			return a
		}, 2 * rtt},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				a, b := w.node("a"), w.node("b")
				start := time.Now()
				to := test.flies(a, b)
				to.await("nothing came", func() bool { return len(to.blocks) == 1 })
				if took := time.Since(start); took != test.want {
					t.Errorf("took %v, want %v", took, test.want)
				}
			})
		})
	}
}

// What going on with a session costs (C4): its blocks leave together with Hello, one round trip after the dial. On a
// private network the peer has to prove first that it knows the secret.
func TestFirstFlightAgain(t *testing.T) { // CN3
	for name, test := range map[string]struct {
		secret peer.Secret
		want   time.Duration
	}{
		"open":    {want: 3 * rtt / 2},
		"private": {secret: peer.NewSecret([]byte("sesame")), want: 5 * rtt / 2},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				with := func(c *socket.Config) { c.NetworkSecret = test.secret }
				a, b := w.node("a", with), w.node("b", with)
				s := a.dial(b)
				b.session(a)
				<-time.After(time.Second)
				w.cut(b, a, true) // b does not dial
				a.KillLink(b.LocalID(), 0)
				<-time.After(10 * time.Millisecond)
				w.cut(b, a, false)
				start := time.Now()
				a.NetworkChanged()
				if err := s.Send(context.Background(), 0, []byte("again")); err != nil {
					t.Fatal(err)
				}
				b.await("nothing came", func() bool { return len(b.blocks) == 1 })
				if took := time.Since(start); took.Round(time.Millisecond) != test.want {
					t.Errorf("took %v, want %v", took, test.want)
				}
			})
		})
	}
}
