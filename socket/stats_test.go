package socket_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"parley/socket"
	"parley/wire"
)

// T11: what was sent, received and acknowledged is counted exactly, at both ends, and on the path.
func TestStatistics(t *testing.T) {
	inWorld(t, func(w *world) {
		start := time.Now()
		a, b := w.node("a"), w.node("b")
		sa := a.dial(b)
		sb := b.session(a)
		const n, size = 300, 700
		for i := range n {
			if err := sa.Send(context.Background(), uint64(i), make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			if i == n/2 { // so that lanes are read more than once
				<-time.After(time.Second)
			}
		}
		for range 5 {
			if err := sa.SendBestEffort(context.Background(), 0, make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
		if err := sa.Send(context.Background(), 0, make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		b.await("blocks missing", func() bool { return len(b.blocks) == n+5+1 })
		<-time.After(time.Second)

		all, large, best := socket.Amount{Blocks: n, Bytes: n * size}, socket.Amount{Blocks: 1, Bytes: 100_000}, socket.Amount{Blocks: 5, Bytes: 500}
		x, y := sa.Stats(), sb.Stats()
		for _, c := range []struct {
			what      string
			got, want any
		}{
			{"sent", x.Sent, all}, {"acknowledged", x.Acknowledged, all}, {"received", y.Received, all},
			{"large sent", x.LargeSent, large}, {"large received", y.LargeReceived, large},
			{"best-effort sent", x.BestEffortSent, best}, {"best-effort received", y.BestEffortReceived, best},
			{"replayed", x.Replayed, socket.Amount{}}, {"duplicates", y.Duplicates, socket.Amount{}},
			{"sent back", y.Sent, socket.Amount{}}, {"replay memory", x.ReplayMemory, int64(0)}, {"large memory", y.LargeMemory, int64(0)},
			{"peer", x.Peer, b.LocalID()}, {"id", x.ID, y.ID}, {"incarnation", x.Incarnation, y.RemoteIncarnation},
			{"state", x.State, socket.StateEstablished}, {"condition", x.Condition, socket.ConditionUp},
			{"established", x.Established.Sub(start) >= rtt && x.Established.Sub(start) < time.Second, true},
			{"condition since", x.ConditionSince, x.Established},
			{"moves", x.Moves, uint64(0)}, {"outages", x.Outages, uint64(0)}, {"downtime", x.Downtime, time.Duration(0)},
			{"connections", x.Connections, 1},
		} {
			if c.got != c.want {
				t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
			}
		}

		paths := slices.Collect(sa.Connections())
		if len(paths) != 1 {
			t.Fatalf("%d connections", len(paths))
		}
		p := paths[0]
		if p.RemoteAddr.String() != b.addr || p.LocalAddr.String() != a.addr || p.Carrier != "quic" || !p.Dialled || !p.InUse || p.Leaving || p.Stalled {
			t.Errorf("the connection is %+v", p)
		}
		for q := range sb.Connections() {
			if q.Dialled || q.Generation != p.Generation || p.Generation == 0 {
				t.Errorf("the other end says %+v, this one %+v", q, p)
			}
		}
		for what, d := range map[string]time.Duration{"RTT": p.RTT, "MinRTT": p.MinRTT, "LatestRTT": p.LatestRTT, "WorstRTT": p.WorstRTT} {
			if d < rtt || d > 3*rtt {
				t.Errorf("%s is %v, want about %v", what, d, rtt)
			}
		}
		if tr := p.Traffic; tr.BytesSent < n*size || tr.BytesSent > 2*(n*size+large.Bytes) || tr.PacketsSent < n*size/1500 || p.CongestionWindow == 0 {
			t.Errorf("traffic %+v, window %d", tr, p.CongestionWindow)
		}

		for _, h := range []socket.HostStats{a.Stats(), b.Stats()} {
			if h.Established != 1 || h.Up != 1 || h.Handshaking+h.Closing+h.Stalled+h.Down+h.HalfOpen != 0 || h.Refused.Total()+h.Ended.Total() != 0 ||
				h.Dialled+h.Accepted != 1 || h.DialsFailed != 0 || h.ReplayMemory != 0 || h.LargeMemory != 0 || h.ReplayLimit != 256<<20 || h.LargeLimit != 256<<20 {
				t.Errorf("host: %+v", h)
			}
		}

		before := sa.Stats()
		if err := sa.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		<-sb.Done()
		after, host := sa.Stats(), a.Stats()
		if after.Sent != all || after.Connections != 0 || after.Traffic.BytesSent < before.Traffic.BytesSent || after.State != socket.StateClosed {
			t.Errorf("after the end: %+v", after)
		}
		if host.Traffic != after.Traffic || host.Established != 0 || host.Ended.Of(socket.Closed) != 1 || host.Ended.Total() != 1 {
			t.Errorf("the host after the end: %+v", host)
		}
		for c := range sa.Connections() {
			t.Errorf("a connection after the end: %+v", c)
		}
	})
}

// T11: outages, moves and what is sent again are counted, and traffic never counts backwards.
func TestStatisticsOfOutage(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		s := a.dial(b)
		send := func() {
			for i := range 10 {
				if err := s.Send(context.Background(), uint64(i), make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
			}
		}
		send()
		<-time.After(time.Second)
		was := s.Stats().Traffic
		w.cut(a, b, true)
		send()
		<-time.After(time.Minute)
		down := s.Stats()
		if down.Condition != socket.ConditionDown || down.Outages != 1 || down.Downtime < 50*time.Second || down.Downtime > time.Minute ||
			time.Since(down.ConditionSince) != down.Downtime || down.Redials == 0 || down.Sent.Blocks-down.Acknowledged.Blocks != 10 || down.ReplayMemory < 1000 {
			t.Errorf("down: %+v", down)
		}
		if h := a.Stats(); h.Down != 1 || h.Up != 0 || h.DialsFailed == 0 || h.ReplayMemory != down.ReplayMemory {
			t.Errorf("the host while it is down: %+v", h)
		}
		w.cut(a, b, false)
		b.await("blocks missing", func() bool { return len(b.blocks) == 20 })
		<-time.After(10 * time.Second)
		up := s.Stats()
		if up.Condition != socket.ConditionUp || up.Outages != 1 || up.Moves == 0 || up.Downtime < down.Downtime || up.Downtime > down.Downtime+4*time.Second ||
			up.Replayed.Blocks < 10 || up.Replayed.Bytes != 100*up.Replayed.Blocks || up.Acknowledged != up.Sent || up.ReplayMemory != 0 || up.Connections != 1 {
			t.Errorf("up again: %+v", up)
		}
		if tr := up.Traffic; tr.BytesSent <= was.BytesSent || tr.PacketsReceived <= was.PacketsReceived {
			t.Errorf("traffic was %+v, and is %+v", was, tr)
		}
		for c := range s.Connections() {
			if c.Generation < 2 || c.Since.Before(up.ConditionSince.Add(-time.Second)) || c.Traffic.BytesSent >= up.Traffic.BytesSent {
				t.Errorf("the new connection: %+v", c)
			}
		}
	})
}

// T11, C9: a block that comes once more is counted as that, and not as received.
func TestDuplicatesAreCounted(t *testing.T) {
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.stranger("x")
		c, err := x.dial(b, x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		hello(t, c, nil)
		raw(t, c, []byte{byte(wire.StreamLane), 3, 0, 2, 'h', 'i'})
		b.await("no block", func() bool { return len(b.blocks) == 1 })
		raw(t, c, []byte{byte(wire.StreamLane), 3, 0, 2, 'h', 'i', 3, 'y', 'o', 'u'})
		b.await("no block", func() bool { return len(b.blocks) == 2 })
		<-time.After(time.Second)
		s, ok := b.Session(x.id)
		if !ok {
			t.Fatal("no session")
		}
		if st := s.Stats(); st.Received != (socket.Amount{Blocks: 2, Bytes: 5}) || st.Duplicates != (socket.Amount{Blocks: 1, Bytes: 2}) {
			t.Errorf("received %v, duplicates %v", st.Received, st.Duplicates)
		}
	})
}

// T11: reading statistics waits for nobody: not for a receiver that does not return, which holds up the reading
// of its lane, nor for the path.
func TestStatisticsDoNotWait(t *testing.T) {
	watchdog(t)
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.unattached("b")
		stuck := make(chan struct{})
		b.Attach(func(id, uint64, uint64) {}, func(id, uint64, []byte) { <-stuck }, func(id, uint64, error) {})
		s := a.dial(b)
		if err := s.Send(context.Background(), 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		w.cut(a, b, true)
		start := time.Now()
		for _, n := range []*node{a, b} {
			if h := n.Stats(); h.Established != 1 {
				t.Errorf("host: %+v", h)
			}
			for s := range n.Sessions() {
				_ = s.Stats()
				for range s.Connections() {
				}
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v", took)
		}
		close(stuck)
	})
}

// T11: the counts of codes are those of the codes there are.
func TestCodeCounts(t *testing.T) {
	var c socket.CodeCounts
	var got []socket.Code
	for code, n := range c.All() {
		if n != 0 || c.Of(code) != 0 {
			t.Errorf("%v: %d", code, n)
		}
		got = append(got, code)
	}
	if len(got) != 13 || got[0] != socket.Internal || got[12] != socket.WouldBlock {
		t.Errorf("the codes are %v", got)
	}
	if c.Of(200) != 0 || c.Total() != 0 {
		t.Error("something has been counted")
	}
}

// BenchmarkStats is the cost of reading a session's statistics, with eight lanes and one connection.
func BenchmarkStats(b *testing.B) {
	_, _, s := linked(b)
	for i := range uint64(8) {
		if err := s.Send(context.Background(), i, []byte("x")); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Stats()
	}
}
