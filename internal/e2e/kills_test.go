package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/dispatch"
	"parley/internal/simnet"
	"parley/peer"
	"parley/socket"
)

// side is one peer: a host on a simulated network with a dispatcher.
type side struct {
	host *socket.Host
	d    *dispatch.Dispatcher
	addr netip.AddrPort
}

func newSide(t *testing.T, net *simnet.Net, name string) *side {
	t.Helper()
	sum := sha256.Sum256([]byte(name))
	key, err := peer.KeyFromSeed(sum[:])
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, sum[0]}), 4000)
	net.AddHost(addr.Addr(), simnet.Link{Delay: 10 * time.Millisecond}, nil)
	pc, err := net.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	host, err := socket.Listen(socket.Config{Key: key, PacketConn: pc, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	d, err := dispatch.New(host, dispatch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &side{host, d, addr}
}

func (s *side) close() {
	_ = s.d.Close(context.Background())
	_ = s.host.Close()
}

// counter is either end of a conversation: numbers have to come in order.
type counter struct {
	t    *testing.T
	next int64
	all  *atomic.Int64 // numbers that came, in all conversations
	end  chan error
}

func (s *counter) number(c *dispatch.Conversation, n *wrapperspb.Int64Value) error {
	if n.GetValue() != s.next {
		s.t.Errorf("conversation %v: number %d, want %d", c.ID(), n.GetValue(), s.next)
	}
	s.next++
	s.all.Add(1)
	return nil
}

// echo is number at the side that sends each back.
func (s *counter) echo(c *dispatch.Conversation, n *wrapperspb.Int64Value) error {
	_ = s.number(c, n)
	return c.Send(n)
}

func (s *counter) over(_ *dispatch.Conversation, err error) {
	if s.end != nil {
		s.end <- err
	}
}

var (
	answering = dispatch.MustBehavior(dispatch.On((*counter).echo))
	asking    = dispatch.MustBehavior(dispatch.On((*counter).number), dispatch.OnEnd((*counter).over))
)

// A hundred kills of the path, KILLS of another number, during 200 conversations: every message arrives once and in
// order, both ways, and no conversation ends (C9, D4).
func TestConversationsOutlivePaths(t *testing.T) {
	kills := 100
	if v, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		kills = v
	}
	synctest.Test(t, func(t *testing.T) {
		defer func() { <-time.After(5 * time.Minute) }() // quic-go keeps timers of closed connections for a while
		net := simnet.New(1)
		a, b := newSide(t, net, "a"), newSide(t, net, "b")
		var asked, echoed atomic.Int64
		err := dispatch.Converse(b.d, func(_ *dispatch.Conversation, _ *wrapperspb.StringValue) (*counter, error) {
			return &counter{t: t, all: &asked}, nil
		}, answering)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.host.Dial(context.Background(), b.host.LocalID(), b.addr.String()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wait sync.WaitGroup
		var sent atomic.Int64
		for i := range 200 {
			wait.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 1))
				s := &counter{t: t, all: &echoed, end: make(chan error, 1)}
				c, err := dispatch.Open(context.Background(), a.d, b.host.LocalID(), wrapperspb.String("count"), s, asking)
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				for n := int64(0); ctx.Err() == nil; n++ {
					if err := c.Send(wrapperspb.Int64(n)); err != nil {
						t.Errorf("send: %v", err)
						return
					}
					sent.Add(1)
					<-time.After(time.Duration(r.IntN(4000)) * time.Millisecond)
				}
				<-time.After(20 * time.Second)
				c.End()
				if err := <-s.end; err != nil {
					t.Errorf("conversation %d ended: %v", i, err)
				}
			})
		}
		r := rand.New(rand.NewPCG(7, 7))
		for range kills {
			f := simnet.Fault{
				Kind: []simnet.FaultKind{simnet.Cut, simnet.CutOneWay}[r.IntN(2)], A: a.addr.Addr(), B: b.addr.Addr(),
				After: time.Duration(100+r.IntN(2000)) * time.Millisecond, For: time.Duration(50+r.IntN(8000)) * time.Millisecond,
			}
			if err := net.Play(ctx, []simnet.Fault{f}, nil, nil); err != nil {
				t.Error(err)
			}
		}
		cancel()
		wait.Wait()
		if n := sent.Load(); asked.Load() != n || echoed.Load() != n {
			t.Errorf("of %d numbers %d arrived and %d came back", n, asked.Load(), echoed.Load())
		}
		t.Logf("%d kills, 200 conversations, %d messages each way", kills, sent.Load())
		a.close()
		b.close()
	})
}

// A peer that was killed and is back: the survivor's conversations end, and are told why; none of them goes on in the
// next session (C9).
func TestRestartEndsConversations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer func() { <-time.After(5 * time.Minute) }()
		net := simnet.New(1)
		a, b := newSide(t, net, "a"), newSide(t, net, "b")
		var asked, echoed atomic.Int64
		begin := func(_ *dispatch.Conversation, _ *wrapperspb.StringValue) (*counter, error) {
			return &counter{t: t, all: &asked}, nil
		}
		if err := dispatch.Converse(b.d, begin, answering); err != nil {
			t.Fatal(err)
		}
		old, err := a.host.Dial(context.Background(), b.host.LocalID(), b.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		s := &counter{t: t, all: &echoed, end: make(chan error, 1)}
		c, err := dispatch.Open(context.Background(), a.d, b.host.LocalID(), wrapperspb.String("count"), s, asking)
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		net.SetLink(b.addr.Addr(), func(up, _ *simnet.Link) { up.Down = true }) // killed: no word leaves
		_ = b.host.Close()
		_ = b.d.Close(context.Background())
		net.SetLink(b.addr.Addr(), func(up, _ *simnet.Link) { up.Down = false })
		again := newSide(t, net, "b")
		if err := dispatch.Converse(again.d, begin, answering); err != nil {
			t.Fatal(err)
		}
		if err := c.Send(wrapperspb.Int64(0)); err != nil {
			t.Fatal(err)
		}
		if err := <-s.end; err == nil || !errors.Is(old.Err(), socket.StateLost) {
			t.Errorf("the conversation ended with %v, its session with %v; want the state lost", err, old.Err())
		}
		<-time.After(time.Minute)
		if n := asked.Load(); n != 0 {
			t.Errorf("%d messages of the old session arrived in the new one", n)
		}
		if fresh, ok := a.host.Session(b.host.LocalID()); !ok || fresh == old {
			t.Error("no new session, which the application had asked for")
		}
		a.close()
		again.close()
	})
}
