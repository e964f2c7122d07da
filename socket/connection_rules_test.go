package socket_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/socket"
	"parley/wire"
)

// A malformed preamble breaks the rules, in every field of the kinds that carry streams.
func TestMalformedPreambles(t *testing.T) { // CN1, CN10
	text := func(s string) string { return string(binary.AppendUvarint(nil, uint64(len(s)))) + s }
	for name, b := range map[string]string{
		"block, lane 64":             "\x03\x40\x00\x01\x01\x00",
		"block, length 0":            "\x03\x00\x00\x00\x01\x00",
		"block, length over 2^31":    "\x03\x00\x00\x80\x80\x80\x80\x08\x01\x00",
		"block, stream 0":            "\x03\x00\x00\x01\x00\x00",
		"block, offset over length":  "\x03\x00\x00\x01\x01\x02",
		"stream 0":                   "\x04\x00\x00\x00\x00\x00",
		"stream over 2^63":           "\x04\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x00\x00\x00\x00",
		"offset not in its shortest": "\x04\x01\x80\x00\x00\x00\x00",
		"parent 0 of the reader":     "\x04\x01\x00\x00\x01\x00",
		"service without protocol":   "\x04\x01\x00\x00\x00\x01s\x00",
		"service of 129 bytes":       "\x04\x01\x00\x00\x00" + text(strings.Repeat("s", 129)) + "\x01p",
		"service that is not UTF-8":  "\x04\x01\x00\x00\x00\x01\xff\x01p",
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.meet()
				raw(t, p.c, []byte(b))
				p.refused()
			})
		})
	}
}

// A preamble that is cut short costs its stream, and one that does not come its connection, not the session.
func TestPreambleThatDoesNotCome(t *testing.T) { // CN1
	inWorld(t, func(w *world) {
		p := w.meet()
		short := raw(t, p.c, []byte{byte(wire.StreamBytes), 1})
		_ = short.Close()
		if got := resetOf(t, short); got != 5 {
			t.Errorf("cut short: reset with %d, want 5", got)
		}
		broken := raw(t, p.c, []byte{byte(wire.StreamBytes), 1})
		broken.CancelWrite(0)
		start := time.Now()
		p.ping()
		raw(t, p.c, []byte{byte(wire.StreamBytes), 1})
		if got, took := fate(p.c, nil), time.Since(start); got != 8 || took < 10*time.Second || took > 11*time.Second {
			t.Errorf("not sent: closed with %d after %v, want 8 after 10 s", got, took)
		}
		if err := p.session().Err(); err != nil {
			t.Errorf("the session ended: %v", err)
		}
	})
}

// A control frame may have 4,096 bytes, of which its reader may know none, and no more.
func TestControlFrameLimit(t *testing.T) { // CN2, CN5
	padded := func(size int) []byte { // a Ping, and a field of Ping's that version 1 does not have
		const heads = 1 + 2 + 2 + 1 + 2
		ping := append([]byte{1 << 3, 9, 15<<3 | 2}, binary.AppendUvarint(nil, uint64(size-heads))...)
		ping = append(ping, make([]byte, size-heads)...)
		b := append([]byte{6<<3 | 2}, binary.AppendUvarint(nil, uint64(len(ping)))...)
		b = append(b, ping...)
		return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
	}
	const limit = 4096 // not the program's own: it is the protocol's
	inWorld(t, func(w *world) {
		p := w.meet()
		if _, err := p.control.Write(padded(limit)); err != nil {
			t.Fatal(err)
		}
		p.until(func(m *wire.Control) bool { return m.GetPong().GetNonce() == 9 })
		if _, err := p.control.Write(padded(limit + 1)); err != nil {
			t.Fatal(err)
		}
		p.refused()
	})
}

// The control stream cannot be given up alone.
func TestControlStreamLives(t *testing.T) { // CN8
	for name, act := range map[string]func(*quic.Stream){
		"ended": func(st *quic.Stream) { _ = st.Close() },
		"reset": func(st *quic.Stream) { st.CancelWrite(0) },
		"moved": func(st *quic.Stream) { st.CancelWrite(5) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.meet()
				act(p.control)
				p.refused()
			})
		})
	}
}

// A Ping is answered at once, where it came, also on a connection that carries nothing else.
func TestPong(t *testing.T) { // CN9
	inWorld(t, func(w *world) {
		worse := w.meet()
		better := worse.x.wild(worse.b, worse.resumes)
		for _, p := range []*wild{worse, better} {
			start := time.Now()
			p.say(&wire.Control{Kind: &wire.ControlPong{Pong: &wire.Pong{Nonce: 99}}}) // means nothing
			p.say(&wire.Control{Kind: &wire.ControlPing{Ping: &wire.Ping{Nonce: 12, SendTime: 34}}})
			pong := p.until(func(m *wire.Control) bool { return m.GetPong() != nil }).GetPong()
			if took := time.Since(start); took > rtt+5*time.Millisecond {
				t.Errorf("answered after %v", took)
			}
			if pong.GetNonce() != 12 || pong.GetSendTime() != 34 || pong.GetReceiveTime() != uint64(start.Add(rtt/2).UnixMicro()) {
				t.Errorf("got %v", pong)
			}
		}
	})
}

// Who breaks a rule on one connection loses them all, and nobody else's.
func TestViolationEndsAllConnections(t *testing.T) { // CN10
	inWorld(t, func(w *world) {
		b, x := w.node("b", func(c *socket.Config) { c.Connections = 2 }), w.stranger("x")
		honest := w.node("a").dial(b)
		first := x.wild(b, nil)
		second := x.wild(b, first.resumes)
		<-time.After(time.Second)
		raw(t, second.c, []byte{99})
		for i, p := range []*wild{first, second} {
			if got := fate(p.c, nil); got != codeProtocol {
				t.Errorf("connection %d: closed with %d", i, got)
			}
		}
		if err := honest.Err(); err != nil {
			t.Errorf("an honest session ended: %v", err)
		}
	})
}

// Which codes end the session together with its last connection.
func TestCloseCodes(t *testing.T) { // CN6, CN11
	for code, want := range map[quic.ApplicationErrorCode]socket.Code{
		0: socket.Closed, 1: 0, 2: socket.Refused, 3: socket.Authentication, 4: socket.Version, 5: socket.Superseded, 6: socket.Protocol,
		7: socket.Limit, 8: 0, 9: 0, 10: socket.Closed, 11: socket.StateLost, 12: socket.Internal, 1 << 40: socket.Internal,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.meet()
				s := p.session()
				_ = p.c.CloseWithError(code, "")
				<-time.After(time.Second)
				if want == 0 {
					if err := s.Err(); err != nil {
						t.Errorf("the session ended: %v", err)
					}
					again := p.x.wild(p.b, p.resumes)
					again.ping()
					return
				}
				<-s.Done()
				wantCode(t, s.Err(), want)
				if _, ok := errors.AsType[*socket.PeerError](s.Err()); !ok {
					t.Errorf("%T: the peer said so", s.Err())
				}
			})
		})
	}
}

// A Hello that was overheard is worth nothing: the proof is bound to the connection it was made for, and to both
// keys (threats T2, T7).
func TestReplayedHello(t *testing.T) { // CN4
	inWorld(t, func(w *world) {
		private := secret("correct horse battery staple")
		b, x := w.node("b", private), w.listener("x")
		x.dialled(b) // b knows the secret, and proves it to x
		_, h := x.answer(b, nil)
		if len(h.GetProof()) != wire.ProofSize {
			t.Fatalf("the proof has %d bytes", len(h.GetProof()))
		}
		other := w.node("c", private)
		for name, to := range map[string]*node{"to whom it came from": b, "to another": other} {
			c, err := x.dial(to, x.certificate("x"))
			if err != nil {
				t.Fatal(err)
			}
			hello(t, c, func(mine *wire.Hello) { mine.Proof = bytes.Clone(h.GetProof()) })
			if got := fate(c, nil); got != 3 {
				t.Errorf("%s: closed with %d, want 3", name, got)
			}
			if connected(to) {
				t.Errorf("%s: a session came up", name)
			}
		}
	})
}
