package socket_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/socket"
	"parley/wire"
)

// The tests of the protocol's rules, in the files named *_rules_test.go, speak to a host as a peer without manners:
// what the rule demands of the host is read off the wire, and what the rule forbids is done to it.

// Close codes that tests expect (CN6).
const (
	codeGraceful, codeDrained, codeVersion  = 0, 1, 4
	codeSuperseded, codeProtocol, codeState = 5, 6, 11
)

// wild is one connection of such a peer with the host b.
type wild struct {
	t       *testing.T
	b       *node
	x       *stranger
	c       *quic.Conn
	control *quic.Stream
	frames  *bufio.Reader
	accept  *wire.Accept
}

// wild dials b, says Hello and reads Accept.
func (x *stranger) wild(b *node, change func(*wire.Hello)) *wild {
	x.w.t.Helper()
	c, err := x.dial(b, x.certificate("x"))
	if err != nil {
		x.w.t.Fatal(err)
	}
	return x.on(c, b, change)
}

// on is wild on a connection that exists.
func (x *stranger) on(c *quic.Conn, b *node, change func(*wire.Hello)) *wild {
	x.w.t.Helper()
	p := &wild{t: x.w.t, b: b, x: x, c: c}
	p.control, p.frames = hello(p.t, c, change)
	if p.accept = p.next().GetAccept(); p.accept == nil {
		p.t.Fatal("the first frame is not Accept")
	}
	return p
}

// meet makes a host "b" and a session of the stranger "x" with it.
func (w *world) meet(change ...func(*socket.Config)) *wild {
	w.t.Helper()
	b, x := w.node("b", change...), w.stranger("x")
	p := x.wild(b, nil)
	b.await("no session", func() bool { return len(b.ups) == 1 })
	<-time.After(rtt)
	return p
}

// resumes is the change to a Hello that goes on with p's session on a better connection.
func (p *wild) resumes(h *wire.Hello) {
	h.PeerIncarnation, h.Generation = p.accept.GetIncarnation(), 1
}

func (p *wild) session() *socket.Session {
	p.t.Helper()
	s, ok := p.b.Session(p.x.id)
	if !ok {
		p.t.Fatal("no session")
	}
	return s
}

// next reads a frame, for at most a minute.
func (p *wild) next() *wire.Control {
	p.t.Helper()
	_ = p.control.SetReadDeadline(time.Now().Add(time.Minute))
	return next(p.t, p.frames)
}

// until reads frames up to one for which f holds.
func (p *wild) until(f func(*wire.Control) bool) *wire.Control {
	p.t.Helper()
	for {
		if m := p.next(); f(m) {
			return m
		}
	}
}

// silent checks that no frame comes for a while for which f holds.
func (p *wild) silent(what string, d time.Duration, f func(*wire.Control) bool) {
	p.t.Helper()
	_ = p.control.SetReadDeadline(time.Now().Add(d))
	for {
		m, err := wire.ReadControl(p.frames)
		if err != nil {
			if p.c.Context().Err() != nil {
				p.t.Fatalf("the connection ended: %v", context.Cause(p.c.Context()))
			}
			return
		}
		if f(m) {
			p.t.Fatalf("%s: %v", what, m)
		}
	}
}

func (p *wild) say(m *wire.Control) { p.t.Helper(); frame(p.t, p.control, m) }

func (p *wild) sayCount(c *wire.StreamCount) {
	p.t.Helper()
	p.say(&wire.Control{Kind: &wire.ControlAck{Ack: &wire.Ack{Streams: []*wire.StreamCount{c}}}})
}

func (p *wild) sayReceived(lane uint32, count uint64) {
	p.t.Helper()
	p.say(&wire.Control{Kind: &wire.ControlAck{Ack: &wire.Ack{Received: []*wire.LaneCount{{Lane: lane, Count: count}}}}})
}

// ping proves that everything said before has been heard, and that the session goes on.
func (p *wild) ping() {
	p.t.Helper()
	p.say(&wire.Control{Kind: &wire.ControlPing{Ping: &wire.Ping{Nonce: 4711}}})
	p.until(func(m *wire.Control) bool { return m.GetPong().GetNonce() == 4711 })
	if err := p.session().Err(); err != nil {
		p.t.Fatalf("the session ended: %v", err)
	}
}

// refused checks that the host has closed the connection, and ended the session, because a rule was broken.
func (p *wild) refused() {
	p.t.Helper()
	if got := fate(p.c, nil); got != codeProtocol {
		p.t.Errorf("closed with %d, want %d: a rule was broken", got, codeProtocol)
	}
	p.b.await("the session goes on", func() bool { return len(p.b.downs) == 1 })
	wantCode(p.t, p.b.downs[0], socket.Protocol)
	if !typed(p.b.downs[0]) {
		p.t.Errorf("the cause is a %T", p.b.downs[0])
	}
}

// preambled opens a stream of the connection: a preamble, then data.
func (p *wild) preambled(pre wire.Preamble, data string) *quic.Stream {
	p.t.Helper()
	b, err := pre.Append(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return raw(p.t, p.c, append(b, data...))
}

// lane opens a stream of a lane.
func (p *wild) lane(lane, number uint64, blocks ...string) *quic.Stream {
	p.t.Helper()
	return p.preambled(wire.Preamble{Kind: wire.StreamLane, Lane: lane, Number: number}, framed(blocks...))
}

// framed is blocks as they are on a lane.
func framed(blocks ...string) string {
	var b []byte
	for _, s := range blocks {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return string(b)
}

// incoming accepts the next stream of the host's and reads its preamble.
func (p *wild) incoming() (*quic.Stream, *bufio.Reader, wire.Preamble) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	st, err := p.c.AcceptStream(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = st.SetReadDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(st)
	pre, err := wire.ReadPreamble(r)
	if err != nil {
		p.t.Fatal(err)
	}
	return st, r, pre
}

// noStream checks that the host opens no stream on the connection for a second.
func (p *wild) noStream() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := p.c.AcceptStream(ctx); err == nil {
		p.t.Error("the host opened a stream here")
	}
}

// resetOf reads a stream up to its reset, and returns the code; -1 if it ends otherwise.
func resetOf(t *testing.T, st *quic.Stream) int {
	t.Helper()
	_ = st.SetReadDeadline(time.Now().Add(time.Minute))
	for b := make([]byte, 1024); ; {
		if _, err := st.Read(b); err != nil {
			if reset, ok := errors.AsType[*quic.StreamError](err); ok && reset.Remote {
				return int(reset.ErrorCode)
			}
			return -1
		}
	}
}

// stopOf waits until the host has stopped reading a stream, and returns the code; -1 if it does not.
func stopOf(st *quic.Stream) int {
	select {
	case <-st.Context().Done():
	case <-time.After(time.Minute):
	}
	if stop, ok := errors.AsType[*quic.StreamError](context.Cause(st.Context())); ok && stop.Remote {
		return int(stop.ErrorCode)
	}
	return -1
}

// listener is a stranger whom hosts can dial.
type listener struct {
	*stranger
	ln *quic.Listener
}

func (w *world) listener(name string) *listener {
	w.t.Helper()
	x := w.stranger(name)
	tc := tlsConf(x, name)
	tc.ClientAuth = tls.RequireAnyClientCert
	ln, err := x.tr.Listen(tc, &quic.Config{EnableDatagrams: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return &listener{x, ln}
}

// answer takes the next connection of b's, reads Hello and says first, unless it is nil.
func (x *listener) answer(b *node, first func(*wire.Hello) *wire.Control) (*wild, *wire.Hello) {
	x.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := x.ln.Accept(ctx)
	if err != nil {
		x.w.t.Fatal(err)
	}
	p := &wild{t: x.w.t, b: b, x: x.stranger, c: c}
	if p.control, err = c.AcceptStream(ctx); err != nil {
		x.w.t.Fatal(err)
	}
	p.frames = bufio.NewReader(p.control)
	if pre, err := wire.ReadPreamble(p.frames); err != nil || pre.Kind != wire.StreamControl {
		x.w.t.Fatalf("the first stream is %+v, %v", pre, err)
	}
	h := p.next().GetHello()
	if h == nil {
		x.w.t.Fatal("the first frame is not Hello")
	}
	if first != nil {
		m := first(h)
		p.say(m)
		p.accept = m.GetAccept()
	}
	return p, h
}

// accepts is the Accept of a well-behaved peer with the incarnation 7.
func accepts(h *wire.Hello) *wire.Accept {
	return &wire.Accept{
		Version: wire.Version, Incarnation: 7, PeerIncarnation: h.GetIncarnation(), Lanes: 8, MaxBlock: 1 << 20,
		Resumed: h.GetPeerIncarnation() != 0,
	}
}

func acceptFrame(a *wire.Accept) *wire.Control {
	return &wire.Control{Kind: &wire.ControlAccept{Accept: a}}
}

// welcome is answer with an Accept that change has changed, while b dials.
func (x *listener) welcome(b *node, change func(*wire.Accept)) (*wild, *wire.Hello) {
	x.w.t.Helper()
	return x.answer(b, func(h *wire.Hello) *wire.Control {
		a := accepts(h)
		if change != nil {
			change(a)
		}
		return acceptFrame(a)
	})
}

// dialled has b dial the listener; the channel gets the outcome.
func (x *listener) dialled(b *node) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := b.Dial(context.Background(), x.id, addrOf("x").String())
		done <- err
	}()
	return done
}
