package socket_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"parley/peer"
	"parley/socket"
)

// connected reports whether any of the nodes ever had a session.
func connected(nodes ...*node) bool {
	for _, n := range nodes {
		n.mu.Lock()
		up := len(n.ups) > 0
		n.mu.Unlock()
		if up {
			return true
		}
	}
	return false
}

// I1, C15: another key at the address is an authentication error within one round trip, and what
// answered learns nothing: it never completes a handshake, so not even our certificate was sent to it.
func TestWrongKeyFailsWithinOneRoundTrip(t *testing.T) { // ID5
	inWorld(t, func(w *world) {
		a, c := w.node("a"), w.node("c")
		wanted := testKey("b").ID()
		start := time.Now()
		_, err := a.Dial(context.Background(), wanted, c.addr)
		took := time.Since(start)
		wantCode(t, err, socket.Authentication)
		var mine *socket.Error
		if !errors.As(err, &mine) || mine.Peer != wanted {
			t.Errorf("error is %#v, want our own, about the key asked for", err)
		}
		if took > rtt {
			t.Errorf("took %v, more than the round trip of %v", took, rtt)
		}
		<-time.After(time.Minute)
		if connected(a, c) {
			t.Error("a session came up")
		}
	})
}

func secret(text string) func(*socket.Config) {
	return func(c *socket.Config) { c.NetworkSecret = peer.NewSecret([]byte(text)) }
}

// I4: a peer with another network secret, or with none, fails with an authentication error one round
// trip after TLS (which takes one itself); no session comes up on either side.
func TestNetworkSecret(t *testing.T) { // CN4
	one, other := secret("correct horse battery staple"), secret("incorrect horse battery staple")
	open := func(*socket.Config) {}
	for name, tc := range map[string]struct {
		a, b func(*socket.Config)
		ok   bool
	}{
		"same":          {one, one, true},
		"different":     {one, other, false},
		"only dialler":  {one, open, false},
		"only listener": {open, one, false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				a, b := w.node("a", tc.a), w.node("b", tc.b)
				start := time.Now()
				_, err := a.Dial(context.Background(), b.LocalID(), b.addr)
				if tc.ok {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				wantCode(t, err, socket.Authentication)
				if _, ok := errors.AsType[*socket.PeerError](err); !ok {
					t.Errorf("error is %v, want what the peer said", err)
				}
				if took := time.Since(start); took > 2*rtt {
					t.Errorf("took %v, want a round trip of %v for TLS and one more", took, rtt)
				}
				<-time.After(time.Minute)
				if connected(a, b) {
					t.Error("a session came up")
				}
			})
		})
	}
}

// I6: Admit refuses dialled and accepted peers before anything of theirs is handled.
func TestAdmit(t *testing.T) { // CN3
	nobody := func(c *socket.Config) { c.Admit = func(peer.ID) error { return errors.New("strangers") } }
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b", nobody)
		_, err := a.Dial(context.Background(), b.LocalID(), b.addr)
		wantCode(t, err, socket.Refused)
		var theirs *socket.PeerError
		if !errors.As(err, &theirs) || theirs.Message != "" {
			t.Errorf("got %#v, want the peer's refusal without its reason", err)
		}
		_, err = b.Dial(context.Background(), a.LocalID(), a.addr)
		wantCode(t, err, socket.Refused)
		if connected(a, b) {
			t.Error("a session came up")
		}
	})
}

// Threat T2: our own key is not a peer, asked for by id or met at an address.
func TestOwnKey(t *testing.T) { // ID6
	inWorld(t, func(w *world) {
		a := w.node("a")
		_, err := a.Dial(context.Background(), a.LocalID(), a.addr)
		wantCode(t, err, socket.Refused)
		_, err = a.Dial(context.Background(), testKey("b").ID(), a.addr)
		wantCode(t, err, socket.Authentication)
	})
}

// C14: nobody there is a timeout, after the handshake timeout or the context's own.
func TestDialTimeout(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node("a")
		start := time.Now()
		_, err := a.Dial(context.Background(), testKey("b").ID(), "198.51.100.200:1")
		wantCode(t, err, socket.Timeout)
		if took := time.Since(start); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("took %v, want the default of 5 s", took)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start = time.Now()
		_, err = a.Dial(ctx, testKey("b").ID(), "198.51.100.200:1")
		wantCode(t, err, socket.Timeout)
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want the context's 1 s", took)
		}
	})
}

func TestDialBadAddress(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node("a")
		for _, address := range []string{"", "198.51.100.7", "198.51.100.7:0", "198.51.100.7:x", "198.51.100.7:70000", "[2001:db8::1]:4000"} {
			_, err := a.Dial(context.Background(), testKey("b").ID(), address)
			wantCode(t, err, socket.Refused)
		}
	})
}
