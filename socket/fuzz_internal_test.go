package socket

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"parley/peer"
	"parley/wire"
)

// FuzzAcknowledge has a peer acknowledge whatever it likes while a lane is written, and written again on other
// connections. Every three bytes are an act. What it does not have yet stays what it was, nothing is
// freed twice, and nothing but what was sent can be acknowledged (C9, BL2).
func FuzzAcknowledge(f *testing.F) {
	f.Add([]byte{0, 10, 0, 0, 20, 0, 1, 0, 0, 2, 1, 0, 2, 2, 0})
	f.Add([]byte{0, 10, 0, 1, 0, 0, 0, 30, 0, 1, 0, 0, 3, 0, 0, 1, 0, 0, 2, 2, 0, 1, 0, 0})
	f.Add([]byte{0, 10, 0, 1, 0, 0, 2, 9, 0, 2, 255, 255})
	f.Add([]byte{0, 10, 0, 1, 0, 0, 4, 0, 0, 0, 20, 0, 1, 0, 0}) // acknowledged while it is written
	f.Fuzz(func(t *testing.T, acts []byte) {
		host := &budget{limit: 32 << 10}
		s := &Session{}
		s.replay.host = host
		l := &outLane{session: s, limit: 16 << 10, wake: make(chan struct{}, 1)}
		var sent [][]byte // every block accepted
		acked := uint64(0)
		var writing *batch // by the lane's writer, right now
		check := func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			held := l.weight
			at := uint64(0)
			if len(l.unacked) > 0 {
				at = l.unacked[0].first
			}
			for i := range l.unacked {
				b := &l.unacked[i]
				if b.first != at {
					t.Fatalf("batch %d begins with %d, want %d", i, b.first, at)
				}
				held += b.held
				at = b.end()
				intact(t, b, sent)
			}
			if writing != nil {
				intact(t, writing, sent)
			}
			if held != l.held || int64(held) != s.replay.used.Load() || host.used.Load()+s.replay.beyond.Load() != int64(held) {
				t.Fatalf("held %d, by the batches %d, in the session %d, in the host %d", l.held, held, s.replay.used.Load(), host.used.Load())
			}
			if l.acked != acked {
				t.Fatalf("acknowledged up to %d, want %d", l.acked, acked)
			}
			if got := l.counters.taken + payload(l.weight, l.queued); got != total(sent) {
				t.Fatalf("%d bytes counted, want %d", got, total(sent))
			}
			if whole := l.counters.acked; whole > total(sent[:acked]) {
				t.Fatalf("%d bytes acknowledged, and at most %d were", whole, total(sent[:acked]))
			}
		}
		for acts = acts[:min(len(acts), 1500)]; len(acts) >= 3; acts = acts[3:] { // each is checked against all before
			arg := binary.LittleEndian.Uint16(acts[1:])
			switch acts[0] % 5 {
			case 0: // send
				block := bytes.Repeat([]byte{byte(len(sent))}, int(arg)%5000)
				room, err := l.offer(block, 0)
				if room != roomTaken {
					l.mu.Unlock()
				}
				if err != nil {
					t.Fatal(err)
				}
				if room == roomTaken {
					sent = append(sent, block)
				}
			case 1: // write, in two steps
				if writing == nil {
					if b, ok, _ := l.take(); ok {
						writing = &b
					}
					break
				}
				l.wrote(writing)
				writing = nil
			case 2: // acknowledge
				l.mu.Lock()
				out := l.accepted - l.queued // what has been taken: the peer can have no more
				l.mu.Unlock()
				count := uint64(arg)
				if ok := l.acknowledge(count); ok != (count <= out) {
					t.Fatalf("acknowledging %d of %d: %v", count, out, ok)
				} else if ok {
					acked = max(acked, count)
				}
			case 3: // the connection is lost
				writing = nil
				l.mu.Lock()
				l.forgetStream()
				l.mu.Unlock()
			case 4: // the peer acknowledges what it has been sent
				l.mu.Lock()
				out := l.accepted - l.queued
				l.mu.Unlock()
				l.acknowledge(out)
				acked = out
			}
			check()
		}
		l.abort(errors.New("over"))
		if l.held != 0 || s.replay.used.Load() != 0 || host.used.Load() != 0 {
			t.Fatalf("%d bytes are left, %d in the session, %d in the host", l.held, s.replay.used.Load(), host.used.Load())
		}
	})
}

// intact checks that a batch holds the blocks it did when it was taken.
func intact(t *testing.T, b *batch, sent [][]byte) {
	t.Helper()
	r := bytes.NewReader(b.bytes)
	for at := b.first; at < b.end(); at++ {
		n, err := binary.ReadUvarint(r)
		got := make([]byte, min(n, 1<<16))
		if _, err2 := io.ReadFull(r, got); err != nil || err2 != nil || !bytes.Equal(got, sent[at]) {
			t.Fatalf("block %d has changed while it was held", at)
		}
	}
}

func total(blocks [][]byte) (n uint64) {
	for _, b := range blocks {
		n += uint64(len(b))
	}
	return n
}

// FuzzHello lets a stranger say anything at all as the first thing on a connection, beside a session that it has
// already: nothing panics, it is refused with a code or accepted, and afterwards nothing is left (SE11, CN3, CN6).
func FuzzHello(f *testing.F) {
	key, err := peer.KeyFromSeed(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		f.Fatal(err)
	}
	stranger := peer.ID(bytes.Repeat([]byte{2}, len(peer.ID{})))
	hello := func(change func(h *wire.Hello)) []byte {
		h := &wire.Hello{Version: wire.Version, Incarnation: 7, Lanes: 8, MaxBlock: 1 << 20, Connections: 1}
		change(h)
		b, err := wire.AppendControl([]byte{byte(wire.StreamControl)}, &wire.Control{Kind: &wire.ControlHello{Hello: h}})
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	say := func(change func(h *wire.Hello), after ...byte) { f.Add(append(hello(change), after...)) }
	const ours = 1 << 62 // incarnation of the session there is, with the peer's 7
	say(func(*wire.Hello) {})
	say(func(h *wire.Hello) { h.Incarnation = 6 })
	say(func(h *wire.Hello) { h.Incarnation = 8 })
	say(func(h *wire.Hello) { h.Incarnation = 1<<63 + 1 })
	say(func(h *wire.Hello) { h.PeerIncarnation = ours })
	say(func(h *wire.Hello) { h.PeerIncarnation = ours + 1 })
	say(func(h *wire.Hello) { h.PeerIncarnation, h.Received = ours, []*wire.LaneCount{{Lane: 63, Count: 1}} })
	say(func(h *wire.Hello) { h.Generation = 1<<62 + 1 })
	say(func(h *wire.Hello) { h.Version = 2 })
	say(func(h *wire.Hello) { h.Proof = make([]byte, wire.ProofSize) })
	say(func(*wire.Hello) {}, 4, 0xff, 0xff, 0xff, 0xff)
	f.Add([]byte{byte(wire.StreamLane), 0, 0})
	cfg, err := Config{Key: key, Logger: slog.New(slog.DiscardHandler), HandshakeTimeout: 10 * time.Second}.normalize()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		h := &Host{
			cfg: cfg, id: key.ID(), sessions: map[peer.ID]*Session{}, attached: make(chan struct{}),
			largeMemory: budget{limit: int64(cfg.MaxBlockMemory)}, replay: budget{limit: int64(cfg.MaxReplay)},
			redials: make(chan struct{}, maxRedials), incarnation: ours - 1,
		}
		h.life, h.end = context.WithCancel(context.Background())
		h.Attach(func(peer.ID, uint64, uint64) {}, func(peer.ID, uint64, []byte) {}, func(peer.ID, uint64, error) {})

		first := newDeafConn(stranger, hello(func(*wire.Hello) {}))
		first.stays = true
		h.serve(first)
		live, ok := h.Session(stranger)
		if !ok || live.local != ours {
			t.Fatal("no session to begin with")
		}

		c := newDeafConn(stranger, said)
		h.serve(c)
		refused := h.counters.refused.load().Total()
		if refused+h.counters.accepted.Load() != 2 || refused == 1 && c.ctx.Err() == nil {
			t.Errorf("refused %d, accepted %d, closed: %v", refused, h.counters.accepted.Load(), c.ctx.Err())
		}
		if n := h.counters.refused.load().Of(Internal); n != 0 {
			t.Errorf("a stranger can make the host fail")
		}
		h.mu.Lock()
		var left []*Session
		for _, s := range h.sessions {
			left = append(left, s)
		}
		h.mu.Unlock()
		for _, s := range left {
			s.end(&Error{Code: Closed, Op: "test"})
			<-s.closed
		}
		<-live.closed
		h.end()
		h.serving.Wait()
		if len(h.sessions) != 0 || h.replay.used.Load() != 0 || h.largeMemory.used.Load() != 0 {
			t.Errorf("%d sessions, %d bytes are left", len(h.sessions), h.replay.used.Load())
		}
	})
}

// deafConn is a connection on which a peer has said something, and then neither speaks nor reads.
type deafConn struct {
	id     peer.ID
	ctx    context.Context //nolint:containedctx // its life
	end    context.CancelFunc
	mu     sync.Mutex
	said   []byte
	opened bool
	stays  bool // its streams do not end
}

func newDeafConn(id peer.ID, said []byte) *deafConn {
	c := &deafConn{id: id, said: said}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

func (c *deafConn) open(context.Context) (stream, error) {
	return &deafStream{conn: c, r: bytes.NewReader(nil)}, nil
}

func (c *deafConn) accept(ctx context.Context) (stream, error) {
	c.mu.Lock()
	first := !c.opened
	c.opened = true
	c.mu.Unlock()
	if first {
		return &deafStream{conn: c, r: bytes.NewReader(c.said)}, nil
	}
	return nil, c.wait(ctx)
}

func (c *deafConn) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-c.ctx.Done():
	}
	return &Error{Code: Closed, Op: "test"}
}

func (c *deafConn) sendDatagram([]byte) error { return nil }

func (c *deafConn) receiveDatagram(ctx context.Context) ([]byte, error) { return nil, c.wait(ctx) }

func (c *deafConn) close(closeCode, string)  { c.end() }
func (c *deafConn) context() context.Context { return c.ctx }

func (*deafConn) export(_ string, _ []byte, n int) ([]byte, error) { return make([]byte, n), nil }

func (*deafConn) admitted()            {}
func (*deafConn) stats() pathStats     { return pathStats{} }
func (c *deafConn) peer() peer.ID      { return c.id }
func (*deafConn) localAddr() net.Addr  { return &net.UDPAddr{} }
func (*deafConn) remoteAddr() net.Addr { return &net.UDPAddr{} }

// deafStream gives what its peer has said, and then ends.
type deafStream struct {
	conn *deafConn
	r    *bytes.Reader
}

func (s *deafStream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && s.conn.stays {
		<-s.conn.ctx.Done()
		return 0, &Error{Code: Closed, Op: "test"}
	}
	return n, err
}

func (s *deafStream) peek() error {
	return io.EOF
}

func (*deafStream) Write(p []byte) (int, error)      { return len(p), nil }
func (*deafStream) closeWrite() error                { return nil }
func (*deafStream) cancelRead(resetCode)             {}
func (*deafStream) cancelWrite(resetCode)            {}
func (*deafStream) setReadDeadline(time.Time) error  { return nil }
func (*deafStream) setWriteDeadline(time.Time) error { return nil }
func (*deafStream) setPriority(priority)             {}
