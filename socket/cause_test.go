package socket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/internal/simnet"
	"parley/peer"
	"parley/socket"
	"parley/wire"
)

func typed(err error) bool {
	switch err.(type) {
	case *socket.Error, *socket.PeerError:
		return true
	}
	return false
}

// Session.Err and the receiver's down are "an *Error or *PeerError"; a peer that breaks a rule is told so.
func TestCausesAreTyped(t *testing.T) { // BL9
	for name, act := range map[string]func(*quic.Stream){
		"resets a lane as a user": func(st *quic.Stream) { st.CancelRead(256 + 5); st.CancelWrite(256 + 5) },
		"stops a lane":            func(st *quic.Stream) { st.CancelRead(0); st.CancelWrite(0) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				b, x := w.node("b"), w.stranger("x")
				c, err := x.dial(b, x.certificate("x"))
				if err != nil {
					t.Fatal(err)
				}
				_, frames := hello(t, c, nil)
				next(t, frames)
				b.await("no session", func() bool { return len(b.ups) == 1 })
				s, _ := b.Session(testKey("x").ID())
				_ = s.Send(context.Background(), 0, []byte("1"))
				st, err := c.AcceptStream(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				act(st)
				<-time.After(time.Second)
				for range 3 {
					_ = s.Send(context.Background(), 0, []byte("2"))
					<-time.After(time.Second)
				}
				go func() { _ = s.Close(context.Background()) }()
				got := fate(c, nil)
				<-s.Done()
				if !typed(s.Err()) || !errors.Is(s.Err(), socket.Protocol) {
					t.Errorf("Err is %T %v", s.Err(), s.Err())
				}
				if got != 6 {
					t.Errorf("the peer was told %d, want 6 (protocol)", got)
				}
			})
		})
	}
}

// CodeOf agrees with errors.Is.
func TestCodeOfReset(t *testing.T) {
	err := error(&socket.ResetError{Code: 1})
	if errors.Is(err, socket.Closed) && socket.CodeOf(err) != socket.Closed {
		t.Errorf("matches Closed, but CodeOf is %v", socket.CodeOf(err))
	}
}

// A listener that ends its control stream instead of Accept: Dial's error is of this package.
func TestDialErrorIsTyped(t *testing.T) {
	inWorld(t, func(w *world) {
		a, x := w.node("a"), w.stranger("x")
		tc := tlsConf(x, "x")
		tc.ClientAuth = 2
		ln, err := x.tr.Listen(tc, &quic.Config{EnableDatagrams: true})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := ln.Accept(context.Background())
			if err != nil {
				return
			}
			st, err := c.AcceptStream(context.Background())
			if err == nil {
				_ = st.Close()
			}
		}()
		_, err = a.Dial(context.Background(), x.id, addrOf("x").String())
		if !typed(err) || !errors.Is(err, socket.Protocol) {
			t.Errorf("got %T %v (io.EOF: %v), code %v", err, err, err == io.EOF, socket.CodeOf(err))
		}
	})
}

// A Hello that belongs to a session which we have ended (it names that session's incarnation) must not
// bring up a new one.
func TestHelloOfAnEndedSession(t *testing.T) { // SE8
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		c, err := x.dial(b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		hello(t, c, nil)
		b.await("no session", func() bool { return len(b.ups) == 1 })
		old := b.ups[0]
		s, _ := b.Session(testKey("x").ID())
		_ = c.CloseWithError(10, "")
		<-s.Done()
		c2, err := x.dial(b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		hello(t, c2, func(h *wire.Hello) { h.PeerIncarnation = old }) // a second connection of the old session
		<-time.After(time.Second)
		if len(b.ups) != 1 {
			t.Errorf("a second session came up for a Hello that names session %d", old)
		}
	})
}

// T5, T6: somebody who spoofs addresses of a network, and receives nothing there, must not lock that
// network out. 40 spoofed Initials a few seconds apart are 50 kB.
func TestSpoofedPrefix(t *testing.T) {
	watchdog(t)
	inWorld(t, func(w *world) {
		b := w.node("b")
		var trs []*quic.Transport
		addr, _ := net.ResolveUDPAddr("udp", b.addr)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		for i := range 40 { // answers to these addresses go nowhere
			at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(100 + i)}), 4000)
			w.net.AddHost(at.Addr(), simnet.Link{Delay: oneWay}, nil)
			w.net.SetLink(at.Addr(), func(_, down *simnet.Link) { down.Down = true })
			pc, err := w.net.Listen(at)
			if err != nil {
				t.Fatal(err)
			}
			x := &stranger{w: w, id: testKey("x").ID(), tr: &quic.Transport{Conn: pc}}
			trs = append(trs, x.tr)
			go func() { _, _ = x.tr.Dial(ctx, addr, tlsConf(x, "x"), &quic.Config{InitialPacketSize: 1200}) }()
		}
		<-time.After(time.Second)
		honest := w.nodeAt("honest", netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, 7}), 4000))
		start := time.Now()
		if _, err := honest.Dial(context.Background(), b.LocalID(), b.addr); err != nil {
			t.Errorf("an honest host of the same network: %v", err)
		}
		_ = fmt.Sprint(start, peer.ID{})
		for _, tr := range trs {
			_ = tr.Close()
			_ = tr.Conn.Close()
		}
	})
}
