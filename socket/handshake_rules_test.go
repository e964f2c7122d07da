package socket_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/socket"
	"parley/wire"
)

// pb builds protobuf by hand: what this package's own encoder refuses to write.
type pb []byte

func (b pb) number(field int, v uint64) pb {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(field)<<3), v)
}

func (b pb) fixed64(field int, v uint64) pb {
	return binary.LittleEndian.AppendUint64(binary.AppendUvarint(b, uint64(field)<<3|1), v)
}

func (b pb) bytes(field int, v string) pb {
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(field)<<3|2), uint64(len(v)))
	return append(b, v...)
}

// A Hello that is malformed in any field, or says what cannot be: closed with 6, and no session.
func TestMalformedHello(t *testing.T) { // CN2, CN3, CN10, SE6, SE11, SE12
	good := func() pb {
		return pb{}.number(1, wire.Version).fixed64(2, 7).number(8, 8).number(9, 1<<20)
	}
	var counts pb // 65 lanes
	for i := range uint64(65) {
		counts = counts.bytes(7, string(pb{}.number(1, i%64).number(2, 1)))
	}
	for name, tc := range map[string]struct {
		hello pb
		ok    bool
	}{
		"good":                          {good(), true},
		"unknown field":                 {good().bytes(1000, "later"), true},
		"version 0":                     {good().number(1, 0), false},
		"no incarnation":                {good().fixed64(2, 0), false},
		"incarnation 2^63":              {good().fixed64(2, 1<<63), true},
		"incarnation above 2^63":        {good().fixed64(2, 1<<63+1), false},
		"no lanes":                      {good().number(8, 0), false},
		"65 lanes":                      {good().number(8, 65), false},
		"no max_block":                  {good().number(9, 0), false},
		"17 connections":                {good().number(11, 17), false},
		"proof of 31 bytes":             {good().bytes(4, strings.Repeat("x", 31)), false},
		"65 capabilities":               {good().bytes(5, strings.Repeat("\x01", 65)), false},
		"capabilities out of order":     {good().bytes(5, "\x02\x01"), false},
		"agent of 65 bytes":             {good().bytes(6, strings.Repeat("x", 65)), false},
		"agent that is not UTF-8":       {good().bytes(6, "\xff"), false},
		"received, but nothing resumed": {good().bytes(7, string(pb{}.number(2, 1))), false},
		"received on lane 64":           {good().fixed64(3, 1).bytes(7, string(pb{}.number(1, 64).number(2, 1))), false},
		"received twice":                {append(good().fixed64(3, 1), counts...), false},
		"generation 2^62":               {good().number(10, 1<<62), true},
		"generation above 2^62":         {good().number(10, 1<<62+1), false},
		"cut short":                     {good()[:9], false},
		"lengths that lie":              {append(good(), 6<<3|2, 0xff, 0xff, 0xff, 0xff, 0x0f), false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				b, x := w.node("b"), w.stranger("x")
				c, err := x.dial(b, x.certificate("x"))
				if err != nil {
					t.Fatal(err)
				}
				m := pb{}.bytes(1, string(tc.hello))
				raw(t, c, append(binary.AppendUvarint([]byte{byte(wire.StreamControl)}, uint64(len(m))), m...))
				if tc.ok {
					b.await("no session", func() bool { return len(b.ups) == 1 })
					return
				}
				if got := fate(c, nil); got != codeProtocol {
					t.Errorf("closed with %d", got)
				}
				if connected(b) || b.Held() != 0 {
					t.Error("a session came of it")
				}
			})
		})
	}
}

// What a listener may not answer; the dialler closes the connection, says why, and has no session.
func TestBadAccept(t *testing.T) { // CN3, CN10, SE6, SE9, SE11
	for name, tc := range map[string]struct {
		answer func(h *wire.Hello) *wire.Control
		want   int
		code   socket.Code
	}{
		"another's": {func(h *wire.Hello) *wire.Control {
			a := accepts(h)
			a.PeerIncarnation++
			return acceptFrame(a)
		}, codeProtocol, socket.Protocol},
		"another version": {func(h *wire.Hello) *wire.Control {
			a := accepts(h)
			a.Version++
			return acceptFrame(a)
		}, codeVersion, socket.Version},
		"a proof nobody asked for": {func(h *wire.Hello) *wire.Control {
			a := accepts(h)
			a.Proof = make([]byte, wire.ProofSize)
			return acceptFrame(a)
		}, 3, socket.Authentication},
		"not Accept": {func(*wire.Hello) *wire.Control {
			return &wire.Control{Kind: &wire.ControlPing{Ping: &wire.Ping{Nonce: 1}}}
		}, codeProtocol, socket.Protocol},
		"Hello": {func(h *wire.Hello) *wire.Control {
			return &wire.Control{Kind: &wire.ControlHello{Hello: h}}
		}, codeProtocol, socket.Protocol},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				b, x := w.node("b"), w.listener("x")
				done := x.dialled(b)
				p, _ := x.answer(b, tc.answer)
				if got := fate(p.c, nil); got != tc.want {
					t.Errorf("closed with %d, want %d", got, tc.want)
				}
				wantCode(t, <-done, tc.code)
				if connected(b) || b.Held() != 0 {
					t.Error("a session came of it")
				}
			})
		})
	}
}

// A dialler says Hello, with what belongs in it, and nothing else until Accept has come.
func TestHelloComesFirst(t *testing.T) { // CN3, SE6, SE10, SE12
	inWorld(t, func(w *world) {
		b, x := w.node("b", func(c *socket.Config) { c.Connections = 3 }), w.listener("x")
		done := x.dialled(b)
		p, h := x.answer(b, nil)
		p.noStream()
		p.silent("said before Accept", time.Second, func(*wire.Control) bool { return true })
		if h.GetIncarnation() == 0 || h.GetPeerIncarnation() != 0 || len(h.GetReceived()) != 0 || h.GetGeneration() != 1 || h.GetConnections() != 3 {
			t.Errorf("Hello is %v", h)
		}
		p.say(acceptFrame(accepts(h)))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// The dialler of a session that goes on names it, says what it has, and sends again what it does not know to have
// arrived, together with Hello.
func TestHelloThatResumes(t *testing.T) { // SE6, SE7, SE12, BL8
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.listener("x")
		done := x.dialled(b)
		first, h1 := x.welcome(b, nil)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		s := first.session()
		for i := range 3 {
			if err := s.Send(context.Background(), 2, []byte(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			<-time.After(rtt) // so that each is written by itself
		}
		first.lane(5, 0, "x0", "x1")
		b.await("blocks missing", func() bool { return len(b.blocks) == 2 })
		_ = first.c.CloseWithError(9, "")

		second, h2 := x.welcome(b, func(a *wire.Accept) { a.Received = []*wire.LaneCount{{Lane: 2, Count: 1}} })
		if h2.GetIncarnation() != h1.GetIncarnation() || h2.GetPeerIncarnation() != 7 || h2.GetGeneration() != 2 {
			t.Errorf("Hello is %v", h2)
		}
		if r := h2.GetReceived(); len(r) != 1 || r[0].GetLane() != 5 || r[0].GetCount() != 2 {
			t.Errorf("it says that %v was received, want 2 blocks on lane 5", r)
		}
		_, r, pre := second.incoming()
		// It does not wait for Accept (C4), so it does not know yet that the first has arrived.
		if pre.Kind != wire.StreamLane || pre.Lane != 2 || pre.Number != 0 {
			t.Fatalf("goes on with %+v, want block 0 of lane 2", pre)
		}
		for _, want := range []string{"0", "1", "2"} {
			var got [2]byte
			if _, err := r.Read(got[:1]); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Read(got[1:]); err != nil {
				t.Fatal(err)
			}
			if string(got[:]) != framed(want) {
				t.Errorf("got %q, want %q", got, framed(want))
			}
		}
	})
}

// Counts of what was never sent, from a listener that resumes.
func TestAcceptThatKnowsTooMuch(t *testing.T) { // SE14
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.listener("x")
		done := x.dialled(b)
		first, _ := x.welcome(b, nil)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := first.session().Send(context.Background(), 0, []byte("only one")); err != nil {
			t.Fatal(err)
		}
		<-time.After(rtt)
		_ = first.c.CloseWithError(9, "")
		second, _ := x.welcome(b, func(a *wire.Accept) { a.Received = []*wire.LaneCount{{Lane: 0, Count: 2}} })
		second.refused()
	})
}

// A dialler that is told of a later number asks again with one above it, and not for ever.
func TestDiallerIsOutdated(t *testing.T) { // SE9
	outdated := func(above uint64) *wire.Control {
		return &wire.Control{Kind: &wire.ControlOutdated{Outdated: &wire.Outdated{Incarnation: above}}}
	}
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.listener("x")
		done := x.dialled(b)
		var asked []uint64
		for range 4 {
			p, h := x.answer(b, func(h *wire.Hello) *wire.Control { return outdated(h.GetIncarnation() + 1000) })
			asked = append(asked, h.GetIncarnation())
			<-p.c.Context().Done() // the dialler ends it
		}
		if err := <-done; err == nil {
			t.Error("a session came of it")
		}
		for i := range asked[1:] {
			if asked[i+1] <= asked[i]+1000 {
				t.Errorf("asked with %d, told to exceed %d", asked[i+1], asked[i]+1000)
			}
		}
		if !slices.IsSorted(asked) {
			t.Errorf("asked with %d", asked)
		}
	})
	inWorld(t, func(w *world) { // numbers do not run out
		b, x := w.node("b"), w.listener("x")
		done := x.dialled(b)
		x.answer(b, func(*wire.Hello) *wire.Control { return outdated(1<<63 + 1) })
		wantCode(t, <-done, socket.Protocol)
	})
}
