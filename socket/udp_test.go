package socket_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"parley/internal/simnet"
	"parley/socket"
)

// These tests use real UDP sockets on loopback: they are about what the operating system does.

func listenUDP(t *testing.T, name string, change ...func(*socket.Config)) (*socket.Host, string) {
	t.Helper()
	var logged bytes.Buffer
	cfg := socket.Config{
		Key: testKey(name), Listen: "127.0.0.1:0",
		Logger: slog.New(slog.NewTextHandler(&logged, nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	h, err := socket.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h, logged.String()
}

// T1: one socket listens and dials, with IPv4 and where the machine has it IPv6.
func TestUDP(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			if pc, err := net.ListenPacket("udp", address); err != nil {
				t.Skipf("this machine has no %s: %v", address, err)
			} else {
				_ = pc.Close()
			}
			at := func(c *socket.Config) { c.Listen = address }
			a, _ := listenUDP(t, "a", at)
			b, _ := listenUDP(t, "b", at)
			got := make(chan []byte, 1)
			b.Attach(func(id, uint64, uint64) {}, func(_ id, _ uint64, block []byte) { got <- block }, func(id, uint64, error) {})
			s, err := a.Dial(context.Background(), b.LocalID(), b.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if s.RemoteAddr().String() != b.Addr().String() {
				t.Errorf("remote address %v, want %v", s.RemoteAddr(), b.Addr())
			}
			if err := s.Send(context.Background(), 0, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if block := <-got; string(block) != "hello" {
				t.Errorf("got %q", block)
			}
		})
	}
}

// An IPv4 address is IPv4 and nothing else, the one that means every interface too.
func TestIPv4Alone(t *testing.T) {
	a, _ := listenUDP(t, "a", func(c *socket.Config) { c.Listen = "0.0.0.0:0" })
	if got := a.Addr().String(); !strings.HasPrefix(got, "0.0.0.0:") {
		t.Errorf("listening on %s", got)
	}
	_, err := a.Dial(context.Background(), testKey("b").ID(), "[::1]:9")
	wantCode(t, err, socket.Refused)
}

// A name with several addresses is tried at each, so that one that nobody listens on costs no timeout.
func TestDialByName(t *testing.T) {
	a, _ := listenUDP(t, "a", func(c *socket.Config) { c.Listen = ":0" })
	b, _ := listenUDP(t, "b") // on 127.0.0.1 alone, where localhost may also be ::1
	_, port, err := net.SplitHostPort(b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Dial(context.Background(), b.LocalID(), "localhost:"+port); err != nil {
		t.Fatal(err)
	}
}

// C15: an address in use is Refused, in words that say what to do.
func TestAddressInUse(t *testing.T) {
	a, _ := listenUDP(t, "a")
	_, err := socket.Listen(socket.Config{Key: testKey("b"), Listen: a.Addr().String()})
	wantCode(t, err, socket.Refused)
	if !strings.Contains(err.Error(), "in use by another program: choose another port") {
		t.Errorf("unhelpful: %v", err)
	}
	_, err = socket.Listen(socket.Config{Key: testKey("b"), Listen: "192.0.2.1:0"})
	wantCode(t, err, socket.Refused)
	if !strings.Contains(err.Error(), "not an address of this machine") {
		t.Errorf("unhelpful: %v", err)
	}
}

// T1: two hosts share a port when both ask for it.
func TestReusePort(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("port reuse is a setting on Linux only")
	}
	reuse := func(c *socket.Config) { c.ReusePort = true }
	a, _ := listenUDP(t, "a", reuse)
	b, _ := listenUDP(t, "b", reuse, func(c *socket.Config) { c.Listen = a.Addr().String() })
	if a.Addr().String() != b.Addr().String() {
		t.Errorf("%v and %v", a.Addr(), b.Addr())
	}
}

// T1: a buffer that the system refuses is one warning each for receiving and sending, which says how to
// fix it; one that it grants is none.
func TestBufferWarning(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("buffer sizes can be read back on Linux only")
	}
	size := func(n int) func(*socket.Config) {
		return func(c *socket.Config) { c.ReceiveBuffer, c.SendBuffer = n, n }
	}
	if _, logged := listenUDP(t, "a", size(64<<10)); logged != "" {
		t.Errorf("64 KiB made it complain: %s", logged)
	}
	_, logged := listenUDP(t, "b", size(1<<30+1)) // more than the kernel can count doubled
	for _, option := range []string{"rmem_max", "wmem_max"} {
		if n := strings.Count(logged, "sysctl -w net.core."+option); n != 1 {
			t.Errorf("%d warnings about %s in %q, want 1", n, option, logged)
		}
	}
}

// F4: a send that fails for a moment, as when an address changes, is a lost packet and not a dead
// session. On a simulated network, since no system fails on demand; the filter is the same.
func TestTransientSendErrors(t *testing.T) {
	for _, errno := range []error{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EPERM, syscall.ENOBUFS, syscall.ECONNREFUSED} {
		if !socket.Transient(&net.OpError{Op: "write", Err: errno}) {
			t.Errorf("%v is not taken as transient", errno)
		}
	}
	for _, errno := range []error{syscall.EMSGSIZE, syscall.EBADF, net.ErrClosed} {
		if socket.Transient(errno) {
			t.Errorf("%v is taken as transient", errno)
		}
	}
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		s := a.dial(b)
		a.pc.FailWrites(&net.OpError{Op: "write", Err: syscall.ENETUNREACH})
		_ = s.Send(context.Background(), 0, []byte("through"))
		synctest.Wait()
		a.pc.FailWrites(nil)
		b.await("the block never came", func() bool { return len(b.blocks) == 1 })
	})
}

// F5, R17: a path whose MTU is 1228 bytes, less 28 of IP and UDP, connects and carries a megabyte.
func TestSmallMTU(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		for _, name := range []string{"a", "b"} {
			w.net.SetLink(addrOf(name).Addr(), func(up, _ *simnet.Link) { up.MTU = 1200 })
		}
		s := a.dial(b)
		if err := s.Send(context.Background(), 0, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if len(b.received()) != 1 {
			t.Error("not delivered")
		}
	})
}
