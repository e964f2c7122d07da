package socket

import (
	"iter"
	"net"
	"time"

	"parley/peer"
)

// Statistics (T11) come in three layers: of the host, of each session, and of each connection, which is a path.
// To export them, read [Host.Stats], and while ranging over [Host.Sessions] read [Session.Stats] and range over
// [Session.Connections]. What counts never falls as long as what it belongs to exists, so that it maps on a
// counter of a monitoring system; all else is a gauge. Reading takes locks only that nobody holds for longer than
// it takes to copy a few words, and waits for no goroutine of a session.

// Amount is a number of blocks, and of the bytes in them without any framing.
type Amount struct{ Blocks, Bytes uint64 }

func (a *Amount) add(bytes int) {
	a.Blocks++
	a.Bytes += uint64(bytes)
}

// Traffic is what went over connections, with all overhead of the carrier's own, but not of UDP and below.
type Traffic struct {
	BytesSent, BytesReceived     uint64
	PacketsSent, PacketsReceived uint64
	// BytesLost and PacketsLost were sent and taken for lost; what they carried was sent again. Divided by what
	// was sent they are the loss rate. Some turn out to have been late only.
	BytesLost, PacketsLost uint64
}

// Plus returns the sum of two.
func (t Traffic) Plus(u Traffic) Traffic {
	return Traffic{
		t.BytesSent + u.BytesSent, t.BytesReceived + u.BytesReceived,
		t.PacketsSent + u.PacketsSent, t.PacketsReceived + u.PacketsReceived,
		t.BytesLost + u.BytesLost, t.PacketsLost + u.PacketsLost,
	}
}

// HostStats is the state of a host at one moment. Counts are since Listen.
type HostStats struct {
	Since time.Time // when Listen returned

	// Sessions by state; those that are established or closing once more by condition. Both are right now.
	Handshaking, Established, Closing int
	Up, Stalled, Down                 int

	Dialled     uint64 // attempts to make a connection, for new sessions and for ones that had lost theirs
	DialsFailed uint64 // of those, how many have come to nothing, or were not needed any more
	Accepted    uint64 // connections of peers that have become part of a session

	// HalfOpen is how many of the peers' connections are right now in the handshake, up to the acceptance.
	HalfOpen int
	// TurnedAway is how many were refused before any state was made for them, because too many were half-open.
	TurnedAway uint64
	// Unproved is how many broke off, or took too long, before they had proved a key.
	Unproved uint64
	// Refused is how many were refused after they had proved a key, by why: Protocol for a malformed Hello or
	// counts that cannot be, StateLost for a session that this key does not have here, and so on.
	Refused CodeCounts
	// Ended is how many sessions that were established have ended, by why: Closed is a graceful end.
	Ended CodeCounts

	// ReplayMemory is how many bytes are held for all peers until they acknowledge them. Of Config.MaxReplay it
	// is the part that counts in that: a share of 64 KiB of each session may be beyond it.
	ReplayMemory, ReplayLimit int64
	// LargeMemory is how many bytes are reserved for blocks over 64 KiB on their way in; the limit is
	// Config.MaxBlockMemory.
	LargeMemory, LargeLimit int64

	Traffic Traffic // of all sessions there are and were; handshakes that failed are not in it
}

// Stats returns the host's statistics. It looks at every session: at 10,000 that takes some milliseconds, in
// which nothing else waits for it.
func (h *Host) Stats() HostStats {
	c := &h.counters
	st := HostStats{
		Since:   c.since,
		Dialled: c.dialled.Load(), DialsFailed: c.dialsFailed.Load(), Accepted: c.accepted.Load(),
		Refused:      c.refused.load(),
		ReplayMemory: h.replay.used.Load(), ReplayLimit: h.replay.limit,
		LargeMemory: h.largeMemory.used.Load(), LargeLimit: h.largeMemory.limit,
	}
	st.HalfOpen, st.TurnedAway, st.Unproved = h.carrier.handshakes()

	h.mu.Lock()
	list := make([]*Session, 0, len(h.sessions))
	for _, s := range h.sessions {
		list = append(list, s)
	}
	st.Traffic = c.past // of exactly those sessions that are not in the list
	st.Ended = c.ended
	h.mu.Unlock()

	for _, s := range list {
		st.Traffic = st.Traffic.Plus(s.counters.traffic())
		switch s.State() {
		case StateHandshaking:
			st.Handshaking++
			continue
		case StateEstablished:
			st.Established++
		case StateClosing:
			st.Closing++
		default:
			continue
		}
		switch s.Condition() {
		case ConditionUp:
			st.Up++
		case ConditionStalled:
			st.Stalled++
		case ConditionDown:
			st.Down++
		}
	}
	return st
}

// SessionStats is the state of a session at one moment. Counts are since the session's beginning, over all its
// connections. They are not taken at one instant: while traffic goes on they may differ by what is under way.
type SessionStats struct {
	Peer                           peer.ID
	ID                             string // as Session.ID
	Incarnation, RemoteIncarnation uint64
	State                          State
	Established                    time.Time // zero before that
	Condition                      Condition
	ConditionSince                 time.Time // zero before it is established

	// Sent is what Send and its kin have accepted to go on lanes: reliable blocks up to 64 KiB. Of it the peer has
	// acknowledged Acknowledged; the rest is held, in this host's memory, until it has. Bytes are acknowledged
	// as they were written, some blocks at a time, so they may lag behind the blocks.
	Sent, Acknowledged Amount
	// Replayed is what was taken up once more after a connection was lost or left: the peer may have had it.
	Replayed Amount
	// Received is what was handed up of the peer's lanes, Duplicates what came once more and was not.
	Received, Duplicates Amount
	// LargeSent and LargeReceived are blocks over 64 KiB that the peer, or we, have handed up.
	LargeSent, LargeReceived Amount
	// BestEffortSent is what was given to a connection as one packet, which may be lost all the same;
	// BestEffortDropped is how many blocks were not, as Session.Dropped.
	BestEffortSent, BestEffortReceived Amount
	BestEffortDropped                  uint64

	// ReplayMemory is how many bytes are held until the peer acknowledges them, those of byte streams and some
	// overhead included. LargeMemory is what is reserved for blocks over 64 KiB on their way in.
	ReplayMemory, LargeMemory int64

	Moves    uint64        // how often sending was moved to another connection, after an outage or ahead of one
	Outages  uint64        // how often it was in ConditionDown
	Downtime time.Duration // how long in all, the present outage included
	Redials  uint64        // attempts to connect again, or to add a connection

	Connections int // right now
	Traffic     Traffic
}

// Stats returns the session's statistics. After its end they remain as they were last.
func (s *Session) Stats() SessionStats {
	c := &s.counters
	st := SessionStats{
		Peer: s.peer, ID: s.ID(), Incarnation: s.local, RemoteIncarnation: s.RemoteIncarnation(), State: s.State(),
		Received:           c.received.load(),
		Duplicates:         Amount{s.duplicates.Load(), c.duplicateBytes.Load()},
		LargeSent:          c.largeSent.load(),
		LargeReceived:      c.largeReceived.load(),
		BestEffortSent:     c.bestEffortSent.load(),
		BestEffortReceived: c.bestEffortReceived.load(),
		BestEffortDropped:  s.dropped.Load(),
		ReplayMemory:       s.replay.used.Load(),
		LargeMemory:        s.largeMemory.used.Load(),
		Moves:              c.moves.Load(),
		Outages:            s.outages.Load(),
		Redials:            c.redials.Load(),
	}
	for _, l := range s.lanesOut() {
		l.addTo(&st)
	}
	c.mu.Lock()
	st.Established, st.Condition, st.ConditionSince = c.established, c.condition, c.since
	st.Downtime = c.downtime
	if c.condition == ConditionDown && !c.over {
		st.Downtime += time.Since(c.since)
	}
	st.Connections = len(c.links)
	st.Traffic = c.trafficLocked()
	c.mu.Unlock()
	return st
}

// ConnectionStats is the state of one connection of a session: of one path to the peer. Counts are since the
// connection's beginning.
type ConnectionStats struct {
	LocalAddr, RemoteAddr net.Addr  // neither may be changed
	Carrier               string    // what it runs on: "quic"
	Dialled               bool      // by us
	Since                 time.Time // when it became part of the session

	// Generation says what a connection replaces: one of a higher generation takes over from those below. Both
	// sides know the same number.
	Generation uint64
	// InUse says that blocks and streams are placed on it.
	InUse bool
	// Leaving says that one side has said to carry nothing more on it: it is closed when the other has too.
	Leaving bool
	// Stalled says that it is silent while something waits for the peer: nothing more is sent on it as long as
	// there is another.
	Stalled bool

	// Round trips: smoothed, the shortest, the latest and the mean deviation (RFC 9002, 5). Zero before there is
	// a measurement.
	RTT, MinRTT, LatestRTT, RTTDeviation time.Duration
	// WorstRTT is the longest that the session itself has seen in the last 5 to 10 minutes: of the probes with
	// which it asks a connection, when that is silent or one of several.
	WorstRTT time.Duration
	// CongestionWindow is how many bytes may be in flight to the peer; 0 if the carrier does not know.
	CongestionWindow uint64

	Traffic Traffic
}

// Connections yields the session's connections as they are when the range begins, the best first: that is where
// control frames go. A session without a connection, or that is over, yields none.
func (s *Session) Connections() iter.Seq[ConnectionStats] {
	return func(yield func(ConnectionStats) bool) {
		c := &s.counters
		c.mu.Lock()
		links := c.links // never changed, only replaced
		c.mu.Unlock()
		for i := range links {
			if !yield(links[i].stats()) {
				return
			}
		}
	}
}
