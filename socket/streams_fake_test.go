package socket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/wire"
)

// half is one direction of a carrier stream in memory.
type half struct {
	mu      sync.Mutex
	buf     []byte
	fin     bool
	readErr error // what the reader gets
	sendErr error // what the writer gets
	by      deadline
	changed signal
}

// halfWindow is how much a writer may be ahead of the reader.
const halfWindow = 100_000

func (h *half) end(readErr, sendErr error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fin && len(h.buf) == 0 && h.readErr == nil {
		h.readErr = io.EOF // everything has arrived
	}
	if h.readErr == nil {
		h.readErr, h.buf = readErr, nil
	}
	if h.sendErr == nil {
		h.sendErr = sendErr
	}
	h.changed.fire()
}

// fakeStream is a carrier stream between two tables of streams.
type fakeStream struct {
	in, out  *half
	priority atomic.Int32
	lastCode atomic.Int64
	pace     time.Duration // for each byte written
}

var _ stream = (*fakeStream)(nil)

func fakeStreams() (x, y *fakeStream) {
	a, b := &half{}, &half{}
	return &fakeStream{in: a, out: b}, &fakeStream{in: b, out: a}
}

func (s *fakeStream) Read(p []byte) (int, error) {
	h := s.in
	for {
		h.mu.Lock()
		switch {
		case h.readErr != nil:
			defer h.mu.Unlock()
			return 0, h.readErr
		case h.by.expired():
			h.mu.Unlock()
			return 0, &Error{Code: Timeout, Op: "read"}
		case len(h.buf) > 0:
			n := copy(p, h.buf)
			h.buf = h.buf[n:]
			h.changed.fire()
			h.mu.Unlock()
			return n, nil
		case h.fin:
			h.mu.Unlock()
			return 0, io.EOF
		}
		changed, expired := h.changed.wait(), h.by.wait()
		h.mu.Unlock()
		select {
		case <-changed:
		case <-expired:
		}
	}
}

func (s *fakeStream) Write(p []byte) (int, error) {
	h, n := s.out, 0
	for {
		h.mu.Lock()
		if h.sendErr != nil {
			defer h.mu.Unlock()
			return n, h.sendErr
		}
		k := min(len(p)-n, halfWindow-len(h.buf))
		if s.pace > 0 {
			k = min(k, 2000)
		}
		h.buf = append(h.buf, p[n:n+k]...)
		n += k
		if k > 0 {
			h.changed.fire()
		}
		changed := h.changed.wait()
		h.mu.Unlock()
		if s.pace > 0 && k > 0 {
			<-time.After(time.Duration(k) * s.pace)
		}
		if n == len(p) {
			return n, nil
		}
		if k == 0 {
			<-changed
		}
	}
}

func (s *fakeStream) peek() error { return errors.New("not used") }

func (s *fakeStream) closeWrite() error {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	if s.out.sendErr != nil {
		return s.out.sendErr
	}
	s.out.fin = true
	s.out.changed.fire()
	return nil
}

func fakeReset(code resetCode) error {
	return &PeerError{Code: code.meaning(), reset: true, moved: code == resetMoved}
}

func (s *fakeStream) cancelRead(code resetCode) {
	s.lastCode.Store(int64(code))
	s.in.end(&Error{Code: Closed, Op: "read"}, fakeReset(code))
}

func (s *fakeStream) cancelWrite(code resetCode) {
	s.lastCode.Store(int64(code))
	s.out.end(fakeReset(code), &Error{Code: Closed, Op: "write"})
}

func (s *fakeStream) cut() {
	dead := &Error{Code: Timeout, Op: "connection"}
	s.in.end(dead, dead)
	s.out.end(dead, dead)
}

func (s *fakeStream) setReadDeadline(t time.Time) error {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	s.in.by.set(t)
	s.in.changed.fire()
	return nil
}

func (s *fakeStream) setWriteDeadline(time.Time) error { return nil }
func (s *fakeStream) setPriority(p priority)           { s.priority.Store(int32(p)) }

// fakeConn is a connection between two sides.
type fakeConn struct {
	pair    *fakePair
	ends    [2]*link
	mu      sync.Mutex
	dead    bool
	streams []*fakeStream
	control [2]chan []*wire.StreamCount // from that side
	gone    chan struct{}
}

func (c *fakeConn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return
	}
	c.dead = true
	close(c.gone)
	for _, s := range c.streams {
		s.cut()
	}
}

// fakeSide is a streamEnv.
type fakeSide struct {
	t     *testing.T
	pair  *fakePair
	index int
	*streams

	end      context.CancelCauseFunc
	current  atomic.Pointer[fakeConn]
	token    chan struct{}
	arrivals chan *Stream
	services func(*Stream) bool
	wrap     func(*fakeStream) stream // what is written to, if set
	blocks   chan []byte
	gate     chan struct{} // deliver waits for it, if set
	soon     atomic.Bool
	taken    atomic.Int64 // bytes since the last word
	mute     atomic.Bool  // says nothing
	talking  sync.Mutex
	watched  atomic.Int64
	said     atomic.Int64
	errs     chan error
}

func (s *fakeSide) other() *fakeSide { return s.pair.sides[1-s.index] }

func (s *fakeSide) openOn(ctx context.Context, n *link, head []byte, p priority) (stream, error) {
	c := s.pair.conn(n)
	x, y := fakeStreams()
	x.pace, y.pace = s.pair.pace, s.pair.pace
	x.setPriority(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return nil, &Error{Code: Timeout, Op: "connection"}
	}
	if ctx.Err() != nil {
		return nil, ctxError(ctx, "open stream", s.peer)
	}
	c.streams = append(c.streams, x)
	head = slices.Clone(head)
	delay := s.pair.jitter()
	go func() {
		select {
		case <-c.gone:
			return
		case <-time.After(delay):
		}
		pre, err := wire.ReadPreamble(bytes.NewReader(head))
		if err == nil {
			err = s.other().receive(c.ends[1-s.index], y, pre)
		}
		if err != nil {
			s.other().broken(err)
		}
	}()
	if s.wrap != nil {
		return s.wrap(x), nil
	}
	return x, nil
}

func (s *fakeSide) ackSoon(bytes int) {
	if s.taken.Add(int64(bytes)) >= 256<<10 {
		s.taken.Store(0)
		s.ackNow()
		return
	}
	if s.soon.CompareAndSwap(false, true) {
		time.AfterFunc(25*time.Millisecond, func() { s.soon.Store(false); s.ackNow() })
	}
}

func (s *fakeSide) ackNow() {
	select {
	case s.token <- struct{}{}:
	default:
	}
}

func (s *fakeSide) awaitReplay(<-chan struct{})             {}
func (s *fakeSide) pending()                                { s.watched.Add(1) }
func (s *fakeSide) awaitReceiver(ctx context.Context) error { return ctx.Err() }
func (s *fakeSide) fail(op string) error                    { return &Error{Code: Superseded, Op: op} }

func (s *fakeSide) service(x *Stream) resetCode {
	if s.services != nil && s.services(x) {
		return 0
	}
	return resetNotFound
}

func (s *fakeSide) broken(err error) {
	select {
	case s.errs <- err:
	default:
	}
}

func (s *fakeSide) incoming(x *Stream) bool {
	select {
	case s.arrivals <- x:
		return true
	default:
		return false
	}
}

func (s *fakeSide) deliver(ctx context.Context, _, _ uint64, block []byte) error {
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.blocks <- block
	return nil
}

// talk says what there is to say on the current connection.
func (s *fakeSide) talk() {
	for {
		select {
		case <-s.token:
		case <-s.life.Done():
			return
		}
		s.talkOn()
	}
}

func (s *fakeSide) talkOn() {
	s.talking.Lock()
	defer s.talking.Unlock()
	if c := s.current.Load(); c != nil && !s.mute.Load() {
		for {
			entries := s.collect(wire.MaxStreamCounts)
			if len(entries) == 0 {
				break
			}
			s.said.Add(int64(len(entries)))
			if _, err := wire.AppendControl(nil, &wire.Control{Kind: &wire.ControlAck{Ack: &wire.Ack{Streams: entries}}}); err != nil {
				s.broken(err)
			}
			select {
			case c.control[s.index] <- entries:
			case <-c.gone:
			}
		}
	}
}

// fakePair is two tables of streams with a connection that comes and goes.
type fakePair struct {
	t     *testing.T
	sides [2]*fakeSide
	mu    sync.Mutex
	rnd   *rand.Rand
	pace  time.Duration
	conns map[*link]*fakeConn
	now   *fakeConn
}

func (p *fakePair) jitter() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rnd == nil {
		return 0
	}
	return time.Duration(p.rnd.IntN(4000)) * time.Microsecond
}

func (p *fakePair) conn(n *link) *fakeConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns[n]
}

// newPair is for use inside a bubble. The pair ends with the test.
func newPair(t *testing.T, seed uint64) *fakePair {
	t.Helper()
	p := &fakePair{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), conns: map[*link]*fakeConn{}}
	for i := range p.sides {
		life, end := context.WithCancelCause(context.Background())
		s := &fakeSide{
			t: t, pair: p, index: i, end: end, token: make(chan struct{}, 1), arrivals: make(chan *Stream, 128),
			blocks: make(chan []byte, 128), errs: make(chan error, 16),
		}
		s.streams = &streams{env: s, life: life, limit: 1024, buffer: 4 << 20, largest: 16 << 20, memory: &budget{limit: 64 << 20}, replay: &replay{host: &budget{limit: 1 << 40}}}
		p.sides[i] = s
		go s.talk()
	}
	return p
}

// connect makes a connection the one on which both sides send; the old one, if any, stays until it is cut.
func (p *fakePair) connect() *fakeConn {
	c := &fakeConn{pair: p, ends: [2]*link{{}, {}}, gone: make(chan struct{})}
	p.mu.Lock()
	for i := range c.ends {
		p.conns[c.ends[i]] = c
		c.control[i] = make(chan []*wire.StreamCount, 1000)
	}
	p.now = c
	p.mu.Unlock()
	for i, from := range c.control {
		go func() {
			for {
				select {
				case <-c.gone:
					return
				case entries := <-from:
					select {
					case <-c.gone:
						return
					case <-time.After(p.jitter()):
					}
					to := p.sides[1-i]
					if err := to.counts(entries); err != nil {
						to.broken(err)
					}
				}
			}
		}()
	}
	for _, s := range p.sides {
		s.current.Store(c)
		s.attach(func(uint64) *link { return c.ends[s.index] })
		s.ackNow()
	}
	return c
}

// lose tells both sides that a connection is gone.
func (p *fakePair) lose(c *fakeConn) {
	c.cut()
	for _, s := range p.sides {
		if s.current.CompareAndSwap(c, nil) {
			s.attach(nil)
		}
		s.talking.Lock()   // nothing more is said on it
		s.talking.Unlock() //nolint:staticcheck // it was waited for
		s.detach(c.ends[s.index])
		s.resay()
		s.ackNow()
	}
}

// stop ends both sides and checks that nothing went wrong on the way.
func (p *fakePair) stop() {
	p.t.Helper()
	for _, s := range p.sides {
		s.end(&Error{Code: Superseded})
		<-s.streams.fail()
		if n := s.memory.used.Load(); n != 0 {
			p.t.Errorf("side %d: %d bytes of memory reserved", s.index, n)
		}
		if n := s.waiting.Load(); n != 0 {
			p.t.Errorf("side %d: %d bytes wait", s.index, n)
		}
		select {
		case err := <-s.errs:
			p.t.Errorf("side %d: %v", s.index, err)
		default:
		}
	}
	for _, c := range p.conns {
		c.cut()
	}
}

// idle checks that no stream is left.
func (p *fakePair) idle() {
	p.t.Helper()
	for _, s := range p.sides {
		s.mu.Lock()
		if len(s.open) != 0 || s.ours != 0 || len(s.dirty) != 0 || len(s.answers) != 0 || len(s.orphans) != 0 || s.waifs != 0 {
			p.t.Errorf("side %d: %d streams open, %d of ours, %d dirty, %d answers", s.index, len(s.open), s.ours, len(s.dirty), len(s.answers))
			for id, f := range s.open {
				p.t.Logf("  %+v out %d/%d/%d fin %v over %v reset %d; in %d done %v said %v stop %d; at %v lost %d", id,
					f.out.acked, f.out.high, f.out.end, f.out.finished, f.out.over, f.out.reset, f.in.received, f.in.done, f.in.said, f.in.stop, f.at != nil, f.lost)
			}
		}
		s.mu.Unlock()
	}
}

// both opens a stream from side i and accepts it.
func (p *fakePair) both(i int) (x, y *Stream) {
	p.t.Helper()
	x, err := p.sides[i].openStream(context.Background(), "", "")
	if err != nil {
		p.t.Fatal(err)
	}
	y = <-p.sides[1-i].arrivals
	y.take()
	return x, y
}
