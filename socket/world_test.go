package socket_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
	"parley/peer"
	"parley/socket"
)

// world is a simulated network in a synctest bubble, with hosts on it.
type world struct {
	t     *testing.T
	net   *simnet.Net
	hosts []*socket.Host
}

// oneWay is the delay of each host's line in each direction: the round trip between two hosts is 4 times that.
const (
	oneWay = 10 * time.Millisecond
	rtt    = 4 * oneWay
)

// inWorld runs f in a bubble and sees to it that the bubble can end: quic-go keeps timers of closed
// connections for a while.
func inWorld(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: simnet.New(1)}
		defer func() {
			for _, h := range w.hosts { // else they look for one another all the while
				_ = h.Close()
			}
			<-time.After(5 * time.Minute) // virtual
		}()
		f(w)
	})
}

type id = peer.ID

// testKey is a key that is the same in every run.
func testKey(name string) *peer.Key {
	seed := sha256.Sum256([]byte(name))
	k, err := peer.KeyFromSeed(seed[:])
	if err != nil {
		panic(err)
	}
	return k
}

// node is a host with a record of what its receiver was told.
type node struct {
	*socket.Host
	w    *world
	addr string
	pc   *simnet.Conn

	mu     sync.Mutex
	ups    []uint64
	downs  []error
	blocks []string
	more   chan struct{} // closed and replaced at each change
}

func (w *world) node(name string, change ...func(*socket.Config)) *node {
	w.t.Helper()
	n := w.unattached(name, change...)
	n.attach()
	return n
}

func addrOf(name string) netip.AddrPort {
	sum := sha256.Sum256([]byte(name))
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, sum[0]}), 4000)
}

func (w *world) unattached(name string, change ...func(*socket.Config)) *node {
	w.t.Helper()
	return w.host(name, addrOf(name), change...)
}

func (w *world) nodeAt(name string, at netip.AddrPort) *node {
	w.t.Helper()
	n := w.host(name, at)
	n.attach()
	return n
}

func (w *world) host(name string, at netip.AddrPort, change ...func(*socket.Config)) *node {
	w.t.Helper()
	w.net.AddHost(at.Addr(), simnet.Link{Delay: oneWay}, nil)
	pc, err := w.net.Listen(at)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := socket.Config{Key: testKey(name), PacketConn: pc, Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&cfg)
	}
	h, err := socket.Listen(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = h.Close() })
	w.hosts = append(w.hosts, h)
	return &node{Host: h, w: w, addr: at.String(), pc: pc, more: make(chan struct{})}
}

func (n *node) attach() {
	n.Attach(
		func(_ peer.ID, session, _ uint64) { n.record(func() { n.ups = append(n.ups, session) }) },
		func(_ peer.ID, _ uint64, b []byte) { n.record(func() { n.blocks = append(n.blocks, string(b)) }) },
		func(_ peer.ID, _ uint64, cause error) { n.record(func() { n.downs = append(n.downs, cause) }) },
	)
}

func (n *node) record(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	close(n.more)
	n.more = make(chan struct{})
}

// await waits until cond, called with the record locked, holds; at most a minute of virtual time.
func (n *node) await(what string, cond func() bool) {
	n.w.t.Helper()
	deadline := time.After(time.Minute)
	for {
		n.mu.Lock()
		ok, more := cond(), n.more
		n.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-more:
		case <-deadline:
			n.w.t.Fatalf("after a minute: %s", what)
		}
	}
}

func (n *node) received() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.blocks...)
}

// dial connects n to m and fails the test if that fails.
func (n *node) dial(m *node) *socket.Session {
	n.w.t.Helper()
	s, err := n.Dial(context.Background(), m.LocalID(), m.addr)
	if err != nil {
		n.w.t.Fatal(err)
	}
	return s
}

// session waits for n's session with m.
func (n *node) session(m *node) *socket.Session {
	n.w.t.Helper()
	n.await("no session", func() bool { return len(n.ups) > len(n.downs) })
	s, ok := n.Session(m.LocalID())
	if !ok {
		n.w.t.Fatal("up was called without a session")
	}
	return s
}

func wantCode(t *testing.T, err error, code socket.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("got error %v, want code %q", err, code)
	}
}

// count is how many sessions have come up.
func (n *node) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.ups)
}
