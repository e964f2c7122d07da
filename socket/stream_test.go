package socket_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"parley/internal/simnet"
	"parley/socket"
)

// streams returns the two ends of a stream between two hosts.
func streams(t *testing.T, from, to *socket.Session) (x, y *socket.Stream) {
	t.Helper()
	ctx := context.Background()
	x, err := from.OpenStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	y, err = to.AcceptStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return x, y
}

// B4: bytes, half-close, and addresses that are keys.
func TestStreamHalfClose(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		x, y := streams(t, a.dial(b), b.session(a))
		if x.RemoteAddr().String() != b.LocalID().String() || y.RemoteAddr().(socket.Addr).ID != a.LocalID() {
			t.Error("addresses are not the keys")
		}
		sent := make([]byte, 3<<20)
		_, _ = rand.Read(sent)
		go func() {
			_, _ = x.Write(sent)
			_ = x.CloseWrite()
		}()
		got, err := io.ReadAll(y)
		if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
			t.Fatalf("got %d bytes, error %v", len(got), err)
		}
		if _, err := y.Write([]byte("answer")); err != nil { // the other direction is open still
			t.Fatal(err)
		}
		_ = y.Close()
		if got, err := io.ReadAll(x); string(got) != "answer" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		_, err = x.Write([]byte("late"))
		wantCode(t, err, socket.Closed)
	})
}

// B4: a reset carries its code.
func TestStreamReset(t *testing.T) { // CN7
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		x, y := streams(t, a.dial(b), b.session(a))
		x.Reset(77)
		for name, f := range map[string]func([]byte) (int, error){"read": y.Read, "write": func(p []byte) (int, error) {
			<-time.After(time.Second)
			return y.Write(p)
		}} {
			_, err := f([]byte("x"))
			var reset *socket.ResetError
			if !errors.As(err, &reset) || reset.Code != 77 {
				t.Errorf("%s: got %v, want a reset with code 77", name, err)
			}
		}
	})
}

// A stream nobody accepts is bounded; opening more is refused and harms nothing else.
func TestUnacceptedStreamsAreBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		s := a.dial(b)
		const waiting, extra = 128, 5
		var opened []*socket.Stream
		for range waiting + extra {
			x, err := s.OpenStream(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			opened = append(opened, x)
		}
		<-time.After(time.Second)
		refused := 0
		for _, x := range opened {
			_ = x.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := x.Read(make([]byte, 1)); errors.Is(err, socket.Refused) {
				refused++
			} else {
				wantCode(t, err, socket.Timeout)
			}
		}
		if refused != extra {
			t.Errorf("%d streams refused, want %d", refused, extra)
		}
		if err := s.Send(context.Background(), 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
		b.await("block missing", func() bool { return len(b.blocks) == 1 })
	})
}

// B4: a Stream is a net.Conn by the standard conformance suite. The suite has waits of its own, so this
// runs in real time, on a simulated network.
func TestStreamIsNetConn(t *testing.T) {
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		w := &world{t: t, net: simnet.New(1)}
		a, b := w.node("a"), w.node("b")
		for _, name := range []string{"a", "b"} {
			w.net.SetLink(addrOf(name).Addr(), func(up, down *simnet.Link) { *up, *down = simnet.Link{}, simnet.Link{} })
		}
		s := a.dial(b)
		x, y := streams(t, s, b.session(a))
		return x, y, func() {
			_ = x.Close()
			_ = y.Close()
			_ = a.Close()
			_ = b.Close()
		}, nil
	})
}

func TestStreamsEndWithTheSession(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		s := a.dial(b)
		x, y := streams(t, s, b.session(a))
		go func() { _ = s.Close(context.Background()) }()
		for _, c := range []*socket.Stream{x, y} {
			_, err := io.Copy(io.Discard, c)
			wantCode(t, err, socket.Closed)
		}
		if _, err := s.OpenStream(context.Background()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}
