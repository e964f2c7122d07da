package socket

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// hostCounters is what a host counts for HostStats.
type hostCounters struct {
	since                          time.Time // constant
	dialled, dialsFailed, accepted atomic.Uint64
	refused                        codeCounter

	// Guarded by Host.mu, so that a session's traffic is always counted in exactly one place.
	ended CodeCounts
	past  Traffic // of the sessions that were
}

// retire takes over the counts of a session that is being forgotten. Host.mu is held, and the session's loop has
// ended.
func (c *hostCounters) retire(s *Session, cause error) {
	c.past = c.past.Plus(s.counters.traffic())
	select {
	case <-s.established:
		c.ended.n[CodeOf(cause)]++
	default:
	}
}

// amount is an Amount in the making. Safe for concurrent use.
type amount struct{ blocks, bytes atomic.Uint64 }

func (a *amount) add(blocks, bytes uint64) {
	a.blocks.Add(blocks)
	a.bytes.Add(bytes)
}

func (a *amount) load() Amount { return Amount{a.blocks.Load(), a.bytes.Load()} }

// sessionCounters is what a session counts for SessionStats, and what its loop publishes so that reading waits
// for nobody. What is counted per block is counted in the lanes, in batches.
type sessionCounters struct {
	received                           amount
	duplicateBytes                     atomic.Uint64
	largeSent, largeReceived           amount
	bestEffortSent, bestEffortReceived amount
	moves, redials                     atomic.Uint64

	mu          sync.Mutex
	established time.Time
	condition   Condition
	since       time.Time     // when that began
	downtime    time.Duration // of outages that are over
	over        bool
	links       []seenLink // never changed, only replaced
	past        Traffic    // of connections that are not in links any more
}

// became notes a change of condition.
func (c *sessionCounters) became(to Condition, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.condition == ConditionDown {
		c.downtime += now.Sub(c.since)
	}
	c.condition, c.since = to, now
}

func (c *sessionCounters) traffic() Traffic {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trafficLocked()
}

func (c *sessionCounters) trafficLocked() Traffic {
	t := c.past
	for i := range c.links {
		t = t.Plus(c.links[i].stats().Traffic)
	}
	return t
}

// seenLink is a link as others than the session's loop may see it.
type seenLink struct {
	link                    *link
	since                   time.Time
	inUse, leaving, stalled bool
	worst                   time.Duration
}

// publish lets others see the links as they are now. It is called after every change of them.
func (l *loop) publish() {
	links := l.links
	if l.State() == StateClosed {
		links = nil
	}
	var active []*link
	if a := l.active.Load(); a != nil {
		active = *a
	}
	seen := make([]seenLink, 0, len(links))
	for _, n := range links {
		w := &n.watch
		seen = append(seen, seenLink{
			link: n, since: w.born, worst: w.worstLatency(), inUse: slices.Contains(active, n),
			leaving: n.leaveSaid || n.leaveHeard, stalled: w.stalled,
		})
	}
	now := time.Now()
	c := &l.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.links {
		was := &c.links[i]
		if !slices.ContainsFunc(seen, func(x seenLink) bool { return x.link == was.link }) {
			c.past = c.past.Plus(was.stats().Traffic)
		}
	}
	c.links = seen
	switch {
	case l.State() == StateClosed && !c.over:
		c.over = true
		if c.condition == ConditionDown {
			c.downtime += now.Sub(c.since)
		}
	case l.up() && c.established.IsZero():
		c.established, c.since = now, now
	}
}

func (x *seenLink) stats() ConnectionStats {
	p := x.link.connection.stats()
	return ConnectionStats{
		LocalAddr: x.link.localAddr(), RemoteAddr: x.link.remoteAddr(), Carrier: p.carrier, Dialled: x.link.dialled, Since: x.since,
		Generation: x.link.rank.generation, InUse: x.inUse, Leaving: x.leaving, Stalled: x.stalled,
		RTT: p.rtt, MinRTT: p.minRTT, LatestRTT: p.latestRTT, RTTDeviation: p.deviation, WorstRTT: x.worst,
		CongestionWindow: p.congestionWindow,
		Traffic: Traffic{
			BytesSent: p.bytesSent, BytesReceived: p.bytesReceived, PacketsSent: p.packetsSent, PacketsReceived: p.packetsReceived,
			BytesLost: p.bytesLost, PacketsLost: p.packetsLost,
		},
	}
}

// laneCounters is what a lane counts, batch by batch. The lane's lock guards it.
type laneCounters struct {
	taken    uint64 // bytes of the blocks that the writer has taken
	acked    uint64 // bytes of the batches that are acknowledged
	replayed Amount
}

// payload is how many bytes the blocks of a batch have, given what they count in the lane's held.
func payload(held int, blocks uint64) uint64 {
	return uint64(held) - blocks*binary.MaxVarintLen32
}

// addTo adds what the lane has counted.
func (l *outLane) addTo(st *SessionStats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.counters
	st.Sent.Blocks += l.accepted
	st.Sent.Bytes += c.taken + payload(l.weight, l.queued)
	st.Acknowledged.Blocks += l.acked
	st.Acknowledged.Bytes += c.acked
	st.Replayed.Blocks += c.replayed.Blocks
	st.Replayed.Bytes += c.replayed.Bytes
}
