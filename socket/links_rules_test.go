package socket_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"parley/socket"
	"parley/wire"
)

// sendsOn reports which of the connections the host opens its lane on.
func sendsOn(t *testing.T, s *socket.Session, links ...*wild) int {
	t.Helper()
	if err := s.Send(context.Background(), 0, []byte("where?")); err != nil {
		t.Fatal(err)
	}
	found := make(chan int, len(links))
	for i, p := range links {
		go func() {
			if _, err := p.c.AcceptStream(p.c.Context()); err == nil {
				found <- i
			}
		}()
	}
	select {
	case i := <-found:
		return i
	case <-time.After(time.Minute):
		t.Fatal("nowhere")
	}
	return -1
}

// A later generation comes first, whatever the exporter says.
func TestGenerationComesFirst(t *testing.T) { // SE12
	for _, later := range []string{"worse", "better"} {
		t.Run(later, func(t *testing.T) {
			inWorld(t, func(w *world) {
				b, x := w.node("b"), w.stranger("x")
				worse, better := twoConns(t, x, b, "x")
				c1, c2 := worse, better
				if later == "worse" {
					c1, c2 = better, worse
				}
				p1 := x.on(c1, b, func(h *wire.Hello) { h.Generation = 4 })
				p2 := x.on(c2, b, func(h *wire.Hello) { h.Generation = 5 })
				<-time.After(rtt)
				if got := sendsOn(t, p1.session(), p1, p2); got != 1 {
					t.Error("the earlier generation is preferred")
				}
			})
		})
	}
}

// In one generation, the exporter's eight bytes decide, lowest first.
func TestExporterBreaksTheTie(t *testing.T) { // SE12
	for _, first := range []string{"worse", "better"} {
		t.Run(first, func(t *testing.T) {
			inWorld(t, func(w *world) {
				b, x := w.node("b"), w.stranger("x")
				worse, better := twoConns(t, x, b, "x")
				var links [2]*wild // worse, better
				for i, c := range []*quic.Conn{worse, better} {
					if i == 0 && first == "better" {
						links[1] = x.on(better, b, nil)
						links[0] = x.on(worse, b, nil)
						break
					}
					links[i] = x.on(c, b, nil)
				}
				<-time.After(rtt)
				if got := sendsOn(t, links[0].session(), links[0], links[1]); got != 1 {
					t.Error("the higher bytes are preferred")
				}
			})
		})
	}
}

// In one generation, what the smaller key has dialled is better than what the larger has.
func TestSmallerKeyDials(t *testing.T) { // SE12
	for _, name := range []string{"b", "h"} {
		inWorld(t, func(w *world) {
			h, x := w.node(name), w.listener("x")
			done := x.dialled(h)
			byHost, hello := x.welcome(h, nil)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			byX := x.wild(h, func(m *wire.Hello) {
				m.PeerIncarnation, m.Generation = hello.GetIncarnation(), hello.GetGeneration()
			})
			<-time.After(rtt)
			want := 0
			if x.id.Compare(h.LocalID()) < 0 {
				want = 1
			}
			t.Logf("the smaller key is that of %d", want)
			if got := sendsOn(t, byHost.session(), byHost, byX); got != want {
				t.Errorf("sends on connection %d, want %d", got, want)
			}
		})
	}
}

func leaves(m *wire.Control) bool { return m.GetClose() != nil && m.GetClose().GetReason() == 1 }

// The host leaves a connection that is not needed: it says so, and ends it when the peer has said the same, or has not
// for five seconds.
func TestLeaving(t *testing.T) { // SE13
	for _, answered := range []bool{true, false} {
		t.Run(fmt.Sprint("answered ", answered), func(t *testing.T) {
			inWorld(t, func(w *world) {
				first := w.meet()
				second := first.x.wild(first.b, first.resumes)
				first.until(leaves)
				start, want := time.Now(), 5*time.Second
				if answered {
					first.say(closing(1))
					want = 0
				}
				if got := fate(first.c, nil); got != codeDrained {
					t.Errorf("closed with %d, want %d", got, codeDrained)
				}
				if took := time.Since(start); took < want || took > want+rtt {
					t.Errorf("closed after %v, want %v", took, want)
				}
				second.ping()
			})
		})
	}
}

// A connection that the peer leaves is left if there is another, and serves on if there is none.
func TestBeingLeft(t *testing.T) { // SE13
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		first := x.wild(b, func(h *wire.Hello) { h.Generation = 5 })
		<-time.After(rtt)
		s := first.session()
		first.say(closing(1))
		first.ping()
		if err := s.Send(context.Background(), 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, _, pre := first.incoming(); pre.Kind != wire.StreamLane {
			t.Errorf("got %+v", pre)
		}
		second := first.x.wild(first.b, func(h *wire.Hello) { h.PeerIncarnation = first.accept.GetIncarnation() })
		start := time.Now()
		if got, took := fate(first.c, nil), time.Since(start); got != codeDrained || took > rtt { // though it ranks higher
			t.Errorf("closed with %d after %v", got, took)
		}
		if _, _, pre := second.incoming(); pre.Kind != wire.StreamLane {
			t.Errorf("got %+v", pre)
		}
	})
}

// As many connections as the side that wants more wants, and no more.
func TestConnectionsKept(t *testing.T) { // SE10
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		var links []*wild
		for i := range 4 {
			links = append(links, x.wild(b, func(h *wire.Hello) { h.Connections, h.Generation = 3, uint64(i) }))
		}
		links[0].until(leaves) // the worst of four
		for _, p := range links[1:] {
			p.silent("a connection that is wanted was left", 10*time.Second, leaves)
		}
	})
}

// A peer that makes connections without end gets no further than 24.
func TestConnectionsAreBounded(t *testing.T) { // SE10
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		var links []*wild
		for i := range 27 {
			links = append(links, x.wild(b, func(h *wire.Hello) { h.Connections, h.Generation = 16, uint64(i) }))
		}
		start := time.Now()
		for _, p := range links[:3] {
			if got := fate(p.c, nil); got != codeDrained {
				t.Errorf("closed with %d", got)
			}
		}
		if took := time.Since(start); took > rtt {
			t.Errorf("closed after %v: that is a connection that was left", took)
		}
		if n := b.Links(x.id); n > 24 {
			t.Errorf("%d connections", n)
		}
		links[26].ping()
	})
}
