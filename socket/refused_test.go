package socket_test

import (
	"bufio"
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/peer"
	"parley/socket"
	"parley/wire"
)

// What a hostile peer does is refused and counted, by why, and leaves nothing: malformed Hello, counts that cannot
// be, Hello that is replayed, frames that are too large, and a session that belongs to another key. The session of
// an honest peer goes on undisturbed meanwhile (T8, T11, T14).
func TestRefusalsAreCounted(t *testing.T) { // CN3, CN4, CN6, SE9, SE11
	type hostile struct {
		*stranger
		b      *node
		victim *socket.Session // a's session with b
	}
	dial := func(x hostile) *quic.Conn {
		c, err := x.dial(x.b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	established := func(x hostile, change func(*wire.Hello)) (*quic.Conn, *quic.Stream, *wire.Accept) {
		c := dial(x)
		control, frames := hello(t, c, change)
		return c, control, next(t, frames).GetAccept()
	}
	secret := peer.NewSecret([]byte("a secret of some length"))
	for name, tc := range map[string]struct {
		private bool
		act     func(x hostile) *quic.Conn
		refused socket.Code // 0 if it was not refused
		ended   socket.Code // 0 if no session has ended
	}{
		"malformed Hello": {act: func(x hostile) *quic.Conn {
			c := dial(x)
			raw(t, c, []byte{byte(wire.StreamControl), 3, 0xff, 0xff, 0xff})
			return c
		}, refused: socket.Protocol},
		"Hello without lanes": {act: func(x hostile) *quic.Conn {
			c := dial(x)
			// A Hello with version 1 and nothing else.
			raw(t, c, []byte{byte(wire.StreamControl), 4, 0x0a, 2, 0x08, 1})
			return c
		}, refused: socket.Protocol},
		"wrong counts in Hello": {act: func(x hostile) *quic.Conn {
			_, _, accept := established(x, nil)
			c := dial(x)
			hello(t, c, func(h *wire.Hello) {
				h.PeerIncarnation, h.Received = accept.GetIncarnation(), []*wire.LaneCount{{Lane: 3, Count: 1}}
			})
			return c
		}, refused: socket.Protocol, ended: socket.Protocol},
		"wrong counts in Ack": {act: func(x hostile) *quic.Conn {
			c, control, _ := established(x, nil)
			frame(t, control, &wire.Control{Kind: &wire.ControlAck{Ack: &wire.Ack{Received: []*wire.LaneCount{{Lane: 3, Count: 1 << 60}}}}})
			return c
		}, ended: socket.Protocol},
		"an old Hello replayed": {act: func(x hostile) *quic.Conn {
			_, _, accept := established(x, func(h *wire.Hello) { h.Incarnation = 8 })
			c := dial(x)
			_, frames := hello(t, c, func(h *wire.Hello) { h.Incarnation = 7 })
			if out := next(t, frames).GetOutdated(); out.GetIncarnation() != 8 || accept == nil {
				t.Errorf("answered with %v", out)
			}
			_ = c.CloseWithError(0, "")
			return nil
		}, refused: socket.Superseded},
		"Hello of a session that is over": {act: func(x hostile) *quic.Conn {
			first, _, accept := established(x, nil)
			_ = first.CloseWithError(0, "")
			<-time.After(time.Second)
			c := dial(x)
			hello(t, c, func(h *wire.Hello) { h.PeerIncarnation = accept.GetIncarnation() })
			return c
		}, refused: socket.StateLost, ended: socket.Closed},
		"a proof replayed": {private: true, act: func(x hostile) *quic.Conn {
			// x has a dial it, and says to b what a said: the proof is of another connection, and of another key.
			stolen := x.overhear(x.victim.Host())
			c := dial(x)
			raw(t, c, stolen)
			return c
		}, refused: socket.Authentication},
		"frame too large for Hello": {act: func(x hostile) *quic.Conn {
			c := dial(x)
			raw(t, c, []byte{byte(wire.StreamControl), 0xff, 0xff, 0xff, 0xff, 0x7f})
			return c
		}, refused: socket.Protocol},
		"control frame too large": {act: func(x hostile) *quic.Conn {
			c, control, _ := established(x, nil)
			_, _ = control.Write([]byte{0xff, 0xff, 0x7f})
			return c
		}, ended: socket.Protocol},
		"block too large for its lane": {act: func(x hostile) *quic.Conn {
			c, _, _ := established(x, nil)
			raw(t, c, []byte{byte(wire.StreamLane), 0, 0, 0x81, 0x80, 0x04})
			return c
		}, ended: socket.Protocol},
		"a session stolen": {act: func(x hostile) *quic.Conn {
			c := dial(x)
			hello(t, c, func(h *wire.Hello) {
				h.Incarnation, h.PeerIncarnation, h.Generation = x.victim.Incarnation(), x.victim.RemoteIncarnation(), 1<<20
			})
			return c
		}, refused: socket.StateLost},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				network := func(c *socket.Config) {
					if tc.private {
						c.NetworkSecret = secret
					}
				}
				a, b := w.node("a", network), w.node("b", network)
				x := hostile{w.stranger("x"), b, a.dial(b)}
				b.session(a)
				if c := tc.act(x); c != nil && fate(c, nil) < 0 {
					t.Error("it is not closed")
				}
				<-time.After(time.Minute)
				st := b.Stats()
				refused, ended := uint64(0), uint64(0)
				if tc.refused != 0 {
					refused = 1
				}
				if tc.ended != 0 {
					ended = 1
				}
				if st.Refused.Of(tc.refused) != refused || st.Refused.Total() != refused || st.Ended.Of(tc.ended) != ended || st.Ended.Total() != ended {
					t.Errorf("counted %+v", st)
				}
				if st.HalfOpen != 0 || st.ReplayMemory != 0 || st.LargeMemory != 0 || st.Handshaking != 0 {
					t.Errorf("something is left: %+v", st)
				}
				v := x.victim
				if s, ok := b.Session(a.LocalID()); !ok || s.Incarnation() != v.RemoteIncarnation() || s.Stats().Moves != 0 || v.Stats().Moves != 0 {
					t.Error("the honest session was disturbed")
				}
				if err := v.Send(context.Background(), 0, []byte("still here")); err != nil {
					t.Fatal(err)
				}
				b.await("the honest session does not go on", func() bool { return len(b.blocks) == 1 })
			})
		})
	}
}

// overhear has a host dial x, and returns what it says first.
func (x *stranger) overhear(h *socket.Host) []byte {
	x.w.t.Helper()
	ln, err := x.tr.Listen(tlsConf(x, "x"), nil)
	if err != nil {
		x.w.t.Fatal(err)
	}
	defer ln.Close()
	go func() { _, _ = h.Dial(context.Background(), x.id, x.tr.Conn.LocalAddr().String()) }()
	c, err := ln.Accept(context.Background())
	if err != nil {
		x.w.t.Fatal(err)
	}
	st, err := c.AcceptStream(context.Background())
	if err != nil {
		x.w.t.Fatal(err)
	}
	var said bytes.Buffer
	r := bufio.NewReader(st)
	p, err := wire.ReadPreamble(r)
	if err != nil || p.Kind != wire.StreamControl {
		x.w.t.Fatalf("%+v, %v", p, err)
	}
	f := next(x.w.t, r)
	if len(f.GetHello().GetProof()) == 0 {
		x.w.t.Fatalf("said %v", f)
	}
	said.WriteByte(byte(wire.StreamControl))
	b, err := wire.AppendControl(said.Bytes(), f)
	if err != nil {
		x.w.t.Fatal(err)
	}
	_ = c.CloseWithError(10, "")
	return b
}

// What comes to nothing before a key is proved is counted too (T5, T6, T11).
func TestHandshakesAreCounted(t *testing.T) {
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		none := x.certificate("x")
		none.Certificate = append(none.Certificate, none.Certificate[0]) // two of them
		for range 3 {
			if got := fate(x.dial(b, none)); got != -2 {
				t.Fatalf("fate %d", got)
			}
		}
		c, err := x.dial(b, x.certificate("x")) // and then says nothing
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		if st := b.Stats(); st.Unproved != 3 || st.HalfOpen != 1 || st.Refused.Total() != 0 {
			t.Errorf("%+v", st)
		}
		fate(c, nil)
		<-time.After(time.Minute)
		if st := b.Stats(); st.Unproved != 3 || st.HalfOpen != 0 || st.Refused.Of(socket.Timeout) != 1 || st.TurnedAway != 0 || st.Accepted != 0 {
			t.Errorf("%+v", st)
		}
	})
}
