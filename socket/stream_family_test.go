package socket

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// B5: children come by their parent, and end with it on both sides.
func TestSubstreams(t *testing.T) {
	for name, end := range map[string]func(x, y *Stream){
		"close":         func(x, _ *Stream) { _ = x.Close() },
		"reset":         func(x, _ *Stream) { x.Reset(1) },
		"peer's reset":  func(_, y *Stream) { y.Reset(1) },
		"completion":    func(x, y *Stream) { _ = x.CloseWrite(); _ = y.CloseWrite(); _, _ = io.ReadAll(x); _, _ = io.ReadAll(y) },
		"peer's outage": func(x, y *Stream) { p := x.t.env.(*fakeSide).pair; p.lose(p.now); _ = y.Close(); p.connect() },
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(p *fakePair) {
				x, y := p.both(0)
				ctx := context.Background()
				var kids []*Stream
				for _, parent := range []*Stream{x, y, x} {
					other := map[*Stream]*Stream{x: y, y: x}[parent]
					kid, err := parent.OpenStream(ctx)
					if err != nil {
						t.Fatal(err)
					}
					got, err := other.AcceptStream(ctx)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = kid.Write([]byte("x"))
					if _, err := got.Read(make([]byte, 1)); err != nil {
						t.Fatal(err)
					}
					grand, _ := kid.OpenStream(ctx)
					kids = append(kids, kid, got, grand)
				}
				end(x, y)
				<-time.After(time.Second)
				for i, kid := range kids {
					if _, err := kid.Read(make([]byte, 1)); !errors.Is(err, Closed) {
						t.Errorf("child %d: read %v", i, err)
					}
					if _, err := kid.Write([]byte("x")); !errors.Is(err, Closed) {
						t.Errorf("child %d: write %v", i, err)
					}
				}
				if _, err := x.OpenStream(ctx); !errors.Is(err, Closed) {
					t.Errorf("a child of a stream that has ended: %v", err)
				}
				if _, err := y.AcceptStream(ctx); !errors.Is(err, Closed) {
					t.Errorf("accept from a stream that has ended: %v", err)
				}
				_, _ = io.ReadAll(x)
				_ = y.Close()
				_ = x.Close()
				<-time.After(time.Second)
				p.idle()
			})
		})
	}
}

// B5: listen, queue and refuse.
func TestSubstreamPolicies(t *testing.T) {
	inPair(t, func(p *fakePair) {
		ctx := context.Background()
		for _, c := range []struct {
			name   string
			set    func(y *Stream)
			opened int
			kept   int
		}{
			{"undecided", func(*Stream) {}, 20, undecidedSubstreams},
			{"listen", func(y *Stream) { y.Substreams(SubstreamListen, 0) }, 140, defaultSubstreams},
			{"listen to 3", func(y *Stream) { y.Substreams(SubstreamListen, 3) }, 5, 3},
			{"queue", func(y *Stream) { y.Substreams(SubstreamQueue, 0) }, 300, 300},
			{"refuse", func(y *Stream) { y.Substreams(SubstreamRefuse, 0) }, 3, 0},
		} {
			x, y := p.both(0)
			c.set(y)
			var kids []*Stream
			for range c.opened {
				kid, err := x.OpenStream(ctx)
				if err != nil {
					t.Fatal(err)
				}
				kids = append(kids, kid)
			}
			<-time.After(time.Second)
			kept := 0
			for _, kid := range kids {
				if _, err := kid.Write([]byte("x")); err == nil {
					kept++
				} else if !errors.Is(err, Refused) {
					t.Error(err)
				}
			}
			if kept != c.kept {
				t.Errorf("%s: %d children kept, want %d", c.name, kept, c.kept)
			}
			y.Substreams(SubstreamRefuse, 0)
			_ = x.Close()
			_ = y.Close()
			<-time.After(time.Second)
			p.idle()
		}
	})
}

// A child may come before its parent; it waits for it.
func TestSubstreamBeforeItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(30) {
			p := newPair(t, seed)
			x, _ := p.sides[0].openStream(context.Background(), "", "")
			kid, err := x.OpenStream(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			p.connect() // in random order
			y := <-p.sides[1].arrivals
			got, err := y.AcceptStream(context.Background())
			if err != nil || got.id.number != kid.id.number {
				t.Errorf("got %v", err)
			}
			_ = x.Close()
			_ = y.Close()
			<-time.After(time.Second)
			p.idle()
			p.stop()
		}
	})
}

// B10: a stream to a service goes to it; where there is none, the opener is told so.
func TestStreamToService(t *testing.T) {
	inPair(t, func(p *fakePair) {
		s := p.sides[0]
		x, err := s.openStream(context.Background(), "files", "v1")
		if err != nil {
			t.Fatal(err)
		}
		if err := x.awaitTaken(context.Background(), "open"); !errors.Is(err, NotFound) {
			t.Errorf("got %v", err)
		}
		var theirs *PeerError
		if _, err := x.Read(make([]byte, 1)); !errors.As(err, &theirs) || theirs.Code != NotFound {
			t.Errorf("read: %v", err)
		}
		p.sides[1].services = func(y *Stream) bool {
			go func() { <-time.After(time.Second); y.take() }()
			return y.head.Service == "files" && y.head.Protocol == "v1"
		}
		x, _ = s.openStream(context.Background(), "files", "v1")
		start := time.Now()
		if err := x.awaitTaken(context.Background(), "open"); err != nil || time.Since(start) < time.Second {
			t.Errorf("taken after %v: %v", time.Since(start), err)
		}
		x.Reset(1)
		<-time.After(time.Second)
		p.idle()
	})
}
