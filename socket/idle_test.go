package socket_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/socket"
)

// What many idle sessions cost (R24). The process that is measured has one host, or one raw QUIC endpoint, and
// all the connections; the other ends are in a second process, the crowd: a host for each session, since
// between two keys there is one. SESSIONS=n says how many, and PROFILE=dir has profiles of heap and goroutines
// written there.
func TestIdleSessions(t *testing.T) { // R24
	n, err := strconv.Atoi(os.Getenv("SESSIONS"))
	if err != nil || n < 1 {
		t.Skip("a measurement: make benchidle SESSIONS=10000")
	}
	cost := map[string]usage{}
	for _, mode := range []string{"raw accepts", "accepts", "raw dials", "dials"} {
		t.Run(mode, func(t *testing.T) { cost[mode] = measureIdle(t, n, mode) })
	}
	for _, side := range []string{"accepts", "dials"} {
		raw, ours := cost["raw "+side], cost[side]
		beyond := usage{ours.rss - raw.rss, ours.heap - raw.heap, ours.stacks - raw.stacks, ours.goroutines - raw.goroutines}
		t.Logf("%d sessions, the side that %s: %v; quic-go alone: %v; beyond it: %v", n, side, ours.per(n), raw.per(n), beyond.per(n))
		if most := 40 << 10 * n; beyond.heap+beyond.stacks > most || beyond.rss > most {
			t.Errorf("the side that %s takes more than 40 KiB for each session beyond quic-go", side)
		}
	}
}

// usage is what a process uses, in bytes and goroutines.
type usage struct{ rss, heap, stacks, goroutines int }

func use() usage {
	runtime.GC()
	debug.FreeOSMemory() // collects once more: what pools held is gone
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u := usage{heap: int(m.HeapAlloc), stacks: int(m.StackInuse), goroutines: runtime.NumGoroutine()}
	status, err := os.ReadFile("/proc/self/status") // elsewhere than on Linux the rest must do
	if err == nil {
		_, after, _ := strings.Cut(string(status), "VmRSS:")
		kib, _, _ := strings.Cut(strings.TrimSpace(after), " ")
		u.rss, _ = strconv.Atoi(kib)
		u.rss <<= 10
	}
	return u
}

func (u usage) per(n int) string {
	kib := func(b int) float64 { return float64(b) / float64(n) / 1024 }
	return fmt.Sprintf("RSS %.1f KiB, heap %.1f KiB, stacks %.1f KiB, %.2f goroutines each",
		kib(u.rss), kib(u.heap), kib(u.stacks), float64(u.goroutines)/float64(n))
}

// measureIdle makes n connections and reports what they cost this process.
func measureIdle(t *testing.T, n int, mode string) usage {
	t.Helper()
	raw, dials := strings.HasPrefix(mode, "raw "), strings.HasSuffix(mode, "dials")
	crowd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrowd$", "-test.timeout=1h")
	stop, err := crowd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := crowd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	crowd.Stderr = os.Stderr
	var end idleEnd
	if raw {
		r := &rawIdle{e: newRawEnd(t, loopback(t))}
		go r.serve()
		end = r
	} else {
		end = newSessionIdle(t, "one", loopback(t))
	}
	defer end.close()
	crowd.Env = append(os.Environ(), "GOGC=400", "CROWD="+mode, "CROWD_N="+strconv.Itoa(n), "CROWD_TO="+end.addr())
	if err := crowd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stop.Close()
		_ = crowd.Wait()
	}()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20) // every address is on one line
	heard := func(want string) string {
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), want); ok {
				return rest
			}
		}
		t.Fatalf("the crowd said no %q: %v", want, lines.Err())
		return ""
	}
	var addrs []string
	if dials {
		addrs = strings.Fields(heard("at"))
	}
	if !dials {
		heard("ready")
	}
	before := use()
	tell := func(what string) {
		if _, err := fmt.Fprintln(stop, what); err != nil {
			t.Fatal(err)
		}
	}
	connect := func(from, to int) {
		if dials {
			each(t, from, to, func(i int) error { return end.dial(crowdName(i), addrs[i%len(addrs)]) })
			return
		}
		tell(fmt.Sprint(from, " ", to))
		heard("done")
	}
	connect(0, 1)
	alone := end.exchange(t, crowdName(0))
	start := time.Now()
	connect(1, n)
	took := time.Since(start)
	<-time.After(15 * time.Second) // what handshakes leave behind is gone, and each has been kept alive once
	after := use()
	if dir := os.Getenv("PROFILE"); dir != "" {
		profile(t, filepath.Join(dir, strings.ReplaceAll(mode, " ", "-")))
	}
	among := end.exchange(t, crowdName(0))
	t.Logf("%d made in %v; an exchange on one: %v alone, %v among the idle", n, took.Round(time.Millisecond), alone, among)
	if took > 120*time.Second {
		t.Errorf("making %d took %v, more than 120 s", n, took)
	}
	return usage{after.rss - before.rss, after.heap - before.heap, after.stacks - before.stacks, after.goroutines - before.goroutines}
}

// each calls f for from..to-1, 16 at a time: beyond 32 handshakes at once a listener refuses one network.
func each(t *testing.T, from, to int, f func(i int) error) {
	t.Helper()
	next := make(chan int)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := range next {
				if err := f(i); err != nil {
					t.Error(i, err)
				}
			}
		})
	}
	for i := from; i < to; i++ {
		next <- i
	}
	close(next)
	all.Wait()
}

func crowdName(i int) string { return "crowd " + strconv.Itoa(i) }

// loopback is a socket that quic-go does not know for a UDP socket: with one each, ten thousand hosts of the
// crowd would hold the buffers of GRO each.
func loopback(tb testing.TB) net.PacketConn {
	tb.Helper()
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	_ = pc.SetReadBuffer(7 << 20) // as hosts ask for
	return struct{ net.PacketConn }{pc}
}

// idleEnd is one end of the connections that are measured.
type idleEnd interface {
	addr() string
	dial(name, addr string) error
	exchange(t *testing.T, name string) spread // with the connection of that name, or any
	close()
}

type spread struct{ p50, p99 time.Duration }

func (s spread) String() string {
	return fmt.Sprintf("p50 %v p99 %v", s.p50.Round(time.Microsecond), s.p99.Round(time.Microsecond))
}

// pings measures 2,000 round trips, one every millisecond at most.
func pings(trip func()) spread {
	var took []time.Duration
	for range 2000 {
		start := time.Now()
		trip()
		took = append(took, time.Since(start))
		<-time.After(time.Millisecond)
	}
	return spread{quantile(took, 0.5), quantile(took, 0.99)}
}

type sessionIdle struct {
	*socket.Host
	pong chan struct{}
}

func newSessionIdle(tb testing.TB, name string, pc net.PacketConn) *sessionIdle {
	tb.Helper()
	h, err := socket.Listen(socket.Config{Key: testKey(name), PacketConn: pc, Logger: slog.New(slog.DiscardHandler), HandshakeTimeout: time.Minute})
	if err != nil {
		tb.Fatal(err)
	}
	e := &sessionIdle{h, make(chan struct{}, 1)}
	h.Attach(func(id, uint64, uint64) {}, func(from id, session uint64, block []byte) {
		if block[0] == 0 {
			e.pong <- struct{}{}
			return
		}
		block[0] = 0
		_ = h.Send(context.Background(), from, session, 0, block)
	}, func(id, uint64, error) {})
	return e
}

func (e *sessionIdle) addr() string { return e.Addr().String() }
func (e *sessionIdle) close()       { _ = e.Host.Close() }

func (e *sessionIdle) dial(name, addr string) error {
	_, err := e.Dial(context.Background(), testKey(name).ID(), addr)
	return err
}

func (e *sessionIdle) exchange(t *testing.T, name string) spread {
	t.Helper()
	to := testKey(name).ID()
	return pings(func() {
		if err := e.Send(context.Background(), to, 0, 0, append([]byte{1}, make([]byte, 127)...)); err != nil {
			t.Fatal(err)
		}
		<-e.pong
	})
}

type rawIdle struct {
	e *rawEnd

	mu  sync.Mutex
	all []*quic.Conn
}

func (r *rawIdle) addr() string { return r.e.listener.Addr().String() }

func (r *rawIdle) add(c *quic.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, c)
}

func (r *rawIdle) dial(_, addr string) error {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return err
	}
	c, err := r.e.dial(context.Background(), to)
	if err == nil {
		r.add(c)
	}
	return err
}

func (r *rawIdle) serve() {
	for {
		c, err := r.e.listener.Accept(context.Background())
		if err != nil {
			return
		}
		r.add(c)
	}
}

func (r *rawIdle) exchange(*testing.T, string) spread { return spread{} } // what is asked of sessions only

func (r *rawIdle) close() {
	r.mu.Lock()
	for _, c := range r.all {
		_ = c.CloseWithError(0, "")
	}
	r.mu.Unlock()
	r.e.close()
}

// TestCrowd is the other ends, in the process of their own that TestIdleSessions starts.
func TestCrowd(t *testing.T) {
	mode := os.Getenv("CROWD")
	if mode == "" {
		t.Skip("the second half of TestIdleSessions")
	}
	n, err := strconv.Atoi(os.Getenv("CROWD_N"))
	if err != nil {
		t.Fatal(err)
	}
	var ends []idleEnd
	if strings.HasPrefix(mode, "raw ") {
		r := &rawIdle{e: newRawEnd(t, loopback(t))}
		go r.serve()
		ends = append(ends, r)
	} else {
		for i := range n {
			ends = append(ends, newSessionIdle(t, crowdName(i), loopback(t)))
		}
	}
	if strings.HasSuffix(mode, "dials") { // the other one
		var at strings.Builder
		for _, e := range ends {
			at.WriteString(" " + e.addr())
		}
		fmt.Println("at" + at.String())
	} else {
		fmt.Println("ready")
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var from, to int
		if _, err := fmt.Sscan(in.Text(), &from, &to); err != nil {
			t.Fatal(err)
		}
		each(t, from, to, func(i int) error { return ends[i%len(ends)].dial("one", os.Getenv("CROWD_TO")) })
		fmt.Println("done")
	}
	os.Exit(0) // not one after the other
}

func profile(t *testing.T, name string) {
	t.Helper()
	for _, kind := range []string{"heap", "goroutine"} {
		f, err := os.Create(name + "." + kind)
		if err != nil {
			t.Fatal(err)
		}
		if err := pprof.Lookup(kind).WriteTo(f, 0); err != nil {
			t.Error(err)
		}
		_ = f.Close()
	}
}
