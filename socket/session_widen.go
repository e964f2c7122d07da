package socket

// How a session comes to send on more lanes (B3).
const (
	// wideLanes is how many a session sends on once its path loses packets: measured at 5 % loss, a round trip of
	// 40 ms and 500 requests a second, the 99th percentile with 8, 16, 32 and 64 lanes is 1.34, 1.16, 1.01 and
	// 1.00 times that of a stream for each request. On a path without loss more lanes only mean smaller writes.
	wideLanes = 64
	// lossyPackets, lossyShare and lossyTimes say when a path loses packets: of so many sent at least one in so many
	// was lost, so many times in a row. Packets that overtake each other are taken for lost at first, in bursts; at 1 %
	// eight lanes are as good as more (measured).
	lossyPackets = 200
	lossyShare   = 50
	lossyTimes   = 2
)

// barrier is passed when the peer has acknowledged the blocks of a lane that come before those on the lanes
// split off from it.
type barrier struct {
	count  uint64        // of blocks
	passed chan struct{} // closed then
}

// lossSample is what a connection had lost when it was last looked at.
type lossSample struct {
	sent, lost uint64
	times      int // how often in a row it was much
}

// lossy reports whether a link has kept losing a notable share of what was sent.
func (n *link) lossy() bool {
	st, was := n.stats(), &n.loss
	sent := st.packetsSent - was.sent
	if sent < lossyPackets {
		return false
	}
	lost := int64(st.packetsLost) - int64(was.lost)
	was.sent, was.lost = st.packetsSent, st.packetsLost
	if lost < int64(sent/lossyShare) {
		was.times = 0
	} else {
		was.times++
	}
	return was.times >= lossyTimes
}

// widen has the session send on more lanes. What went on one lane is split over several: the numbers that the
// application gives keep their order, because a new lane begins when the peer has acknowledged what the old one
// had accepted by then.
func (s *Session) widen() {
	s.lanesMu.Lock()
	defer s.lanesMu.Unlock()
	old := s.lanes.Load()
	wide := min(s.peerLanes.Load(), wideLanes) / old * old // each new lane splits off from one
	if wide <= old {
		return
	}
	s.narrow = old
	for i := range old {
		if l := s.outLanes[i]; l != nil {
			s.barriers[i] = l.split()
		}
	}
	s.lanes.Store(wide)
}

// split has senders look up their lanes again, and returns what those that split off wait for.
func (l *outLane) split() *barrier {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch++
	b := &barrier{count: l.accepted, passed: make(chan struct{})}
	if l.acked >= b.count || l.err != nil {
		close(b.passed)
	} else {
		l.barrier = b
	}
	return b
}

// passBarrier lets the lanes begin that split off from this one, if nothing is before them. l.mu is held.
func (l *outLane) passBarrier() {
	if b := l.barrier; b != nil && (l.acked >= b.count || l.err != nil) {
		close(b.passed)
		l.barrier = nil
	}
}
