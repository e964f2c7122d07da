package socket

import (
	"context"
	"net"
	"net/netip"
	"time"

	"parley/peer"
)

// Transient is the filter of udpConn.
var Transient = transient

// Links is how many connections the session with id has.
func (h *Host) Links(id peer.ID) int {
	h.mu.Lock()
	s := h.sessions[id]
	h.mu.Unlock()
	if s == nil {
		return 0
	}
	reply := make(chan int, 1)
	s.post(event{kind: evDo, do: func(l *loop) { reply <- len(l.links) }})
	return <-reply
}

// Slow has one of our connections look as if a round trip had once taken d.
func (h *Host) Slow(id peer.ID, i int, d time.Duration) {
	s, ok := h.Session(id)
	if !ok {
		return
	}
	done := make(chan struct{})
	s.post(event{kind: evDo, do: func(l *loop) {
		l.links[i].watch.latency(time.Now(), d)
		close(done)
	}})
	<-done
}

// Ranks are the generations of a session's connections, best first.
func (h *Host) Ranks(id peer.ID) (out []uint64) {
	s, ok := h.Session(id)
	if !ok {
		return nil
	}
	done := make(chan struct{})
	s.post(event{kind: evDo, do: func(l *loop) {
		for _, n := range l.links {
			out = append(out, n.rank.generation)
		}
		close(done)
	}})
	<-done
	return out
}

// Held is how many sessions the host has in any state.
func (h *Host) Held() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sessions)
}

// LargeMemory is how many bytes of large blocks are reserved.
func (h *Host) LargeMemory() int64 { return h.largeMemory.used.Load() }

// DialAll dials a peer at several addresses.
func (h *Host) DialAll(id peer.ID, addresses ...string) (*Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), h.cfg.HandshakeTimeout)
	defer cancel()
	var addrs []*net.UDPAddr
	for _, a := range addresses {
		addrs = append(addrs, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(a)))
	}
	s, err := h.hold(ctx, id, 0, 0)
	if err != nil {
		return nil, err
	}
	return h.race(ctx, s, addrs)
}

// Replay is how many bytes are held to be sent again.
func (h *Host) Replay() int64 { return h.replay.used.Load() }

// KillLink closes one of a session's connections as a failure would.
func (h *Host) KillLink(id peer.ID, i int) {
	s, ok := h.Session(id)
	if !ok {
		return
	}
	if a := s.active.Load(); a != nil && len(*a) > 0 {
		(*a)[i%len(*a)].close(closeInternal, "")
	}
}

// ReadServices reads a list of services.
var ReadServices = readServices

// Lanes is how many lanes the session with id sends on.
func (h *Host) Lanes(id peer.ID) int {
	s, _ := h.Session(id)
	return int(s.lanes.Load())
}

// Unlimit lets a stream run as far ahead of its reader as its buffer and QUIC allow.
func (x *Stream) Unlimit() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.out.ramp -= 1 << 40
}

// Carrier is what the stream runs on: another value when it has moved.
func (x *Stream) Carrier() any {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.at
}
