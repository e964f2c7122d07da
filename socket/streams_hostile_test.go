package socket

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/peer"
	"parley/wire"
)

// T8, T33: what cannot be true ends the session; what is merely old does not.
func TestStreamLies(t *testing.T) {
	const sent, received = 1000, 400
	for name, c := range map[string]struct {
		count *wire.StreamCount
		pre   *wire.Preamble
		lie   bool
	}{
		"count of all":         {count: &wire.StreamCount{Stream: 1, Yours: true, Count: sent}},
		"count twice lower":    {count: &wire.StreamCount{Stream: 1, Yours: true, Count: 3}},
		"count too high":       {count: &wire.StreamCount{Stream: 1, Yours: true, Count: sent + 1}, lie: true},
		"count by far":         {count: &wire.StreamCount{Stream: 1, Yours: true, Count: math.MaxUint64}, lie: true},
		"never opened":         {count: &wire.StreamCount{Stream: 2, Yours: true}, lie: true},
		"done before the end":  {count: &wire.StreamCount{Stream: 1, Yours: true, Count: sent, Done: true}, lie: true},
		"never seen":           {count: &wire.StreamCount{Stream: 7}},
		"never seen, but read": {count: &wire.StreamCount{Stream: 7, Count: 1}, lie: true},
		"goes on":              {pre: &wire.Preamble{Stream: 1, Offset: received}},
		"repeats":              {pre: &wire.Preamble{Stream: 1, Offset: received - 1}},
		"leaves a gap":         {pre: &wire.Preamble{Stream: 1, Offset: received + 1}, lie: true},
		"received too much":    {pre: &wire.Preamble{Stream: 1, Offset: received, Received: 1}, lie: true},
		"another parent":       {pre: &wire.Preamble{Stream: 1, Offset: received, Parent: wire.StreamRef{Number: 1, Yours: true}}, lie: true},
		"another service":      {pre: &wire.Preamble{Stream: 1, Offset: received, Service: "a", Protocol: "b"}, lie: true},
		"new in the middle":    {pre: &wire.Preamble{Stream: 9, Offset: 1}, lie: true},
		"new, having received": {pre: &wire.Preamble{Stream: 9, Received: 1}, lie: true},
		"child of nobody":      {pre: &wire.Preamble{Stream: 9, Parent: wire.StreamRef{Number: 5, Yours: true}}, lie: true},
		"its own child":        {pre: &wire.Preamble{Stream: 9, Parent: wire.StreamRef{Number: 9}}, lie: true},
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(p *fakePair) {
				s := p.sides[0]
				x, _ := p.both(0)
				_, _ = x.Write(make([]byte, sent))
				_, y := p.both(1)
				s.pair.sides[1].mute.Store(true)
				other := p.sides[1].open[streamID{1, true}].owner
				_, _ = other.Write(make([]byte, sent))
				synctest.Wait()
				for n := 0; n < received; {
					k, err := y.Read(make([]byte, received-n))
					if err != nil {
						t.Fatal(err)
					}
					n += k
				}
				var err error
				if c.count != nil {
					err = s.counts([]*wire.StreamCount{c.count})
				} else {
					st, _ := fakeStreams()
					c.pre.Kind = wire.StreamBytes
					err = s.receive(&link{}, st, *c.pre)
				}
				if (err != nil) != c.lie {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// nowhere is a streamEnv without connections.
type nowhere struct{ arrivals int }

func (*nowhere) openOn(context.Context, *link, []byte, priority) (stream, error) {
	return nil, &Error{Code: Closed}
}
func (*nowhere) ackSoon(int)                 {}
func (*nowhere) ackNow()                     {}
func (*nowhere) awaitReplay(<-chan struct{}) {}
func (*nowhere) pending()                    {}
func (e *nowhere) incoming(*Stream) bool     { e.arrivals++; return e.arrivals%5 != 0 }

func (e *nowhere) service(*Stream) resetCode {
	e.arrivals++
	if e.arrivals%3 == 0 {
		return resetNotFound
	}
	return 0
}
func (*nowhere) awaitReceiver(context.Context) error                   { return nil }
func (*nowhere) deliver(context.Context, uint64, uint64, []byte) error { return nil }
func (*nowhere) broken(error)                                          {}
func (*nowhere) fail(op string) error                                  { return &Error{Code: Closed, Op: op} }

// Whatever the peer says and opens, nothing panics, and all that it can fill is bounded.
func FuzzStreams(f *testing.F) {
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 0x20, 0x41, 0x62, 0x83, 0xa4, 0xc5, 0xe6, 1, 1, 1, 2, 2, 2, 3, 3, 3, 9, 9})
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		b := make([]byte, 2000)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		const limit = 8
		watchdog := time.AfterFunc(10*time.Second, func() { panic("does not end") })
		defer watchdog.Stop()
		life, end := context.WithCancel(context.Background())
		s := &streams{
			env: &nowhere{}, self: peer.ID{}, life: life, limit: limit, buffer: 100, largest: 1 << 18, memory: &budget{limit: 1 << 20}, replay: &replay{host: &budget{limit: 1 << 40}},
		}
		next := func() (b uint64) {
			if len(script) > 0 {
				b, script = uint64(script[0]), script[1:]
			}
			return b
		}
		number := func() uint64 {
			n := next()
			if n > 250 {
				return min(wire.MaxStreamNumber, 1<<(n-240)|n)
			}
			return n%32 + 1
		}
		var ours []*Stream
		links := []*link{{}, {}}
		for len(script) > 0 {
			switch next() % 8 {
			case 0, 1:
				c := &wire.StreamCount{Stream: number(), Yours: next()%2 == 0, Count: next() % 128}
				flags := next()
				c.Done = flags&1 != 0
				if flags&2 != 0 {
					c.Reset_ = uint32(number())
				}
				if flags&4 != 0 {
					c.Stop = uint32(number())
				}
				_ = s.counts([]*wire.StreamCount{c})
			case 2, 3:
				p := wire.Preamble{Kind: wire.StreamBytes, Stream: number(), Offset: next() % 8 / 6, Received: next() % 8 / 6}
				if kind := next(); kind%4 == 0 {
					p = wire.Preamble{Kind: wire.StreamBlock, Stream: p.Stream, Length: next() + 1, Offset: p.Offset}
				} else if kind%4 == 1 {
					p.Parent = wire.StreamRef{Number: number(), Yours: kind&16 != 0}
				} else if kind%8 == 2 {
					p.Service, p.Protocol = "s", "p"
				}
				x, y := fakeStreams()
				_, _ = y.Write(make([]byte, next()))
				_ = s.receive(links[next()%2], x, p)
			case 4:
				if x, err := s.openStream(dead(), "", ""); err == nil {
					_ = x.SetWriteDeadline(time.Unix(1, 0))
					ours = append(ours, x)
				}
			case 5:
				if len(ours) > 0 {
					x := ours[next()%uint64(len(ours))]
					x.mu.Lock()
					if x.out.err == nil && x.room() >= 50 {
						x.out.append(make([]byte, 50))
						x.t.unsettled(50)
						x.out.high = x.out.end
					}
					x.mu.Unlock()
					switch next() % 4 {
					case 0:
						_ = x.Close()
					case 1:
						x.Reset(uint32(next()))
					}
				}
			case 6:
				s.detach(links[next()%2])
				s.resay()
			case 7:
				for _, c := range s.collect(int(next() % 64)) {
					if _, err := wire.AppendControl(nil, &wire.Control{Kind: &wire.ControlAck{Ack: &wire.Ack{Streams: []*wire.StreamCount{c}}}}); err != nil {
						t.Fatal(err)
					}
				}
			}
			s.mu.Lock()
			if theirs := len(s.open) - s.ours; theirs > limit || s.ours > limit || len(s.answers) > limit || len(s.early) > limit || s.waifs > maxOrphans {
				t.Fatalf("%d streams of the peer's, %d of ours, %d answers, %d early, %d waifs", theirs, s.ours, len(s.answers), len(s.early), s.waifs)
			}
			if s.waiting.Load() < 0 {
				t.Fatalf("%d bytes wait", s.waiting.Load())
			}
			s.mu.Unlock()
		}
		end()
		<-s.fail()
		if s.waiting.Load() != 0 || s.memory.used.Load() != 0 {
			t.Fatalf("%d bytes wait, %d are reserved", s.waiting.Load(), s.memory.used.Load())
		}
	})
}

func dead() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Everything at random, on connections that come and go: closes, resets, children, blocks. In the end
// nothing is left on either side.
func TestStreamsAtRandom(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, seed)
			p.pace = time.Microsecond
			p.connect()
			var all sync.WaitGroup
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			for i, s := range p.sides {
				live := func(x *Stream, rnd *rand.Rand) {
					for range rnd.IntN(20) {
						_ = x.SetDeadline(time.Now().Add(time.Duration(rnd.IntN(300)) * time.Millisecond))
						switch rnd.IntN(12) {
						case 0:
							_ = x.CloseWrite()
						case 1:
							_ = x.Close()
						case 2:
							x.Reset(uint32(rnd.IntN(9)))
						case 3:
							if kid, err := x.OpenStream(ctx); err == nil {
								all.Go(func() { _, _ = kid.Write(make([]byte, 9000)); <-time.After(time.Second); _ = kid.Close() })
							}
						case 4:
							x.Abandon(3)
						case 5, 6, 7:
							_, _ = x.Read(make([]byte, 1+rnd.IntN(100_000)))
						default:
							_, _ = x.Write(make([]byte, rnd.IntN(100_000)))
						}
					}
					_ = x.Close()
				}
				for k := range 40 {
					rnd := rand.New(rand.NewPCG(seed, uint64(100*i+k)))
					all.Go(func() {
						<-time.After(time.Duration(rnd.IntN(3000)) * time.Millisecond)
						if rnd.IntN(4) == 0 {
							_ = s.sendLarge(ctx, 0, 0, make([]byte, 100_000+rnd.IntN(300_000)))
							return
						}
						if x, err := s.openStream(ctx, "", ""); err == nil {
							live(x, rnd)
						}
					})
				}
				go func() {
					for k := uint64(0); ; k++ {
						select {
						case y := <-s.arrivals:
							y.take()
							all.Go(func() { live(y, rand.New(rand.NewPCG(seed, k+1000))) })
						case <-s.blocks:
						case <-s.life.Done():
							return
						}
					}
				}()
			}
			rnd := rand.New(rand.NewPCG(seed, 9))
			for range 150 {
				<-time.After(time.Duration(rnd.IntN(60)) * time.Millisecond)
				old := p.now
				if rnd.IntN(2) == 0 {
					p.lose(old)
					<-time.After(time.Duration(rnd.IntN(50)) * time.Millisecond)
					p.connect()
				} else {
					p.connect()
					<-time.After(time.Duration(rnd.IntN(50)) * time.Millisecond)
					p.lose(old)
				}
			}
			all.Wait()
			<-time.After(30 * time.Second)
			cancel()
			p.idle()
			p.stop()
		})
	}
}

// Numbers that come out of order are each seen once; those far below the highest count as seen.
func TestSeen(t *testing.T) {
	var s seen
	const window = 128
	known := map[uint64]bool{}
	rnd := rand.New(rand.NewPCG(1, 1))
	high := uint64(0)
	for range 100_000 {
		n := high + 40 - min(high+39, uint64(rnd.IntN(150)))
		if rnd.IntN(1000) == 0 {
			n = high + uint64(rnd.IntN(1000)) + 1
		}
		want := known[n] || n+window <= high
		if s.has(n) != want {
			t.Fatalf("%d of %d: seen %v", n, high, !want)
		}
		s.add(n, window)
		known[n] = true
		high = max(high, n)
	}
}
