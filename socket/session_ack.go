package socket

import (
	"math/bits"
	"sync"
	"time"

	"parley/wire"
)

// When what has arrived is acknowledged: what the peer holds for replay stays small, and acknowledgements
// cost little. At 1 Gbit/s it is one every 2 ms.
const (
	ackDelay = 25 * time.Millisecond
	ackBytes = 256 << 10
)

// acks collects what is to be acknowledged and says it in time. Safe for concurrent use.
type acks struct {
	session *Session

	// saying is held from the choice of the connection to the last frame queued there, so that what was lost
	// with a connection is said again after, not before.
	saying sync.Mutex

	mu      sync.Mutex
	lanes   uint64 // a bit for each lane that has moved
	streams bool   // some streams have
	bytes   int    // handed up since the last acknowledgement
	armed   bool   // the timer is set
	due     bool   // say was called
	timer   *time.Timer
}

// lane notes that bytes of a lane's blocks have been handed up.
func (a *acks) lane(i uint64, bytes int) {
	a.mu.Lock()
	a.lanes |= 1 << i
	a.moved(bytes)
}

// stream notes that a stream has something to say, and how many bytes were handed up.
func (a *acks) stream(bytes int) {
	a.mu.Lock()
	a.streams = true
	a.moved(bytes)
}

// streamNow says what streams have to say at once: the peer waits for it.
func (a *acks) streamNow() {
	a.mu.Lock()
	a.streams = true
	a.mu.Unlock()
	a.say()
}

// moved says what there is at once if it is much, or in a while. a.mu is held, and not when it returns.
func (a *acks) moved(bytes int) {
	a.bytes += bytes
	now := a.bytes >= ackBytes
	switch {
	case now:
		a.bytes = 0
	case a.armed:
	case a.timer == nil:
		a.armed = true
		a.timer = time.AfterFunc(ackDelay, a.say)
	default:
		a.armed = true
		a.timer.Reset(ackDelay)
	}
	a.mu.Unlock()
	if now {
		a.say()
	}
}

// again has everything said on the next occasion: a connection was lost, and with it perhaps what it carried.
func (a *acks) again() {
	s := a.session
	var lanes uint64
	s.lanesMu.Lock()
	for i, l := range s.inLanes {
		if l != nil {
			lanes |= 1 << i
		}
	}
	s.lanesMu.Unlock()
	a.saying.Lock()
	s.streams.resay()
	a.saying.Unlock()
	a.mu.Lock()
	a.lanes |= lanes
	a.streams = true
	a.mu.Unlock()
	a.say()
}

// say has what is due sent, by the caller or by whoever is at it: also from within collect.
func (a *acks) say() {
	a.mu.Lock()
	a.due, a.armed = true, false
	a.mu.Unlock()
	for a.saying.TryLock() {
		a.sayOnce()
		a.saying.Unlock()
		a.mu.Lock()
		due := a.due
		a.mu.Unlock()
		if !due {
			return
		}
	}
}

// sayOnce sends what is due on the connection we send on. Without one, again follows.
func (a *acks) sayOnce() {
	s := a.session
	on := s.current.Load()
	a.mu.Lock()
	a.due = false
	if on == nil {
		a.mu.Unlock()
		return
	}
	lanes, streams := a.lanes, a.streams
	a.lanes, a.streams, a.bytes = 0, false, 0
	a.mu.Unlock()

	ack := &wire.Ack{Received: s.counts(lanes)}
	for {
		if streams {
			ack.Streams = s.streams.collect(wire.MaxStreamCounts)
		}
		if len(ack.GetReceived())+len(ack.GetStreams()) == 0 {
			return
		}
		on.say(&wire.Control{Kind: &wire.ControlAck{Ack: ack}})
		if len(ack.GetStreams()) < wire.MaxStreamCounts {
			return
		}
		ack = &wire.Ack{}
	}
}

func (a *acks) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
	}
}

// counts is how many blocks have been handed up of the given lanes, one bit each.
func (s *Session) counts(lanes uint64) (out []*wire.LaneCount) {
	for ; lanes != 0; lanes &= lanes - 1 {
		i := bits.TrailingZeros64(lanes)
		out = append(out, &wire.LaneCount{Lane: uint32(i), Count: s.inLane(uint64(i)).next.Load()})
	}
	return out
}

// received is counts for every lane that has carried anything.
func (s *Session) received() []*wire.LaneCount {
	var lanes uint64
	s.lanesMu.Lock()
	for i, l := range s.inLanes {
		if l != nil {
			lanes |= 1 << i
		}
	}
	s.lanesMu.Unlock()
	return s.counts(lanes)
}

// acknowledged handles what the peer says it has received.
func (s *Session) acknowledged(lanes []*wire.LaneCount) error {
	for _, c := range lanes {
		i := c.GetLane()
		s.lanesMu.Lock()
		l := s.outLanes[i]
		s.lanesMu.Unlock()
		if l == nil && c.GetCount() > 0 || l != nil && !l.acknowledge(c.GetCount()) {
			return violation(s.peer, "blocks acknowledged that were never sent")
		}
	}
	return nil
}
