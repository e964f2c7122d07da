package socket

import (
	"context"
	"errors"

	"parley/internal/pace"
	"parley/wire"
)

// maxBestEffort is how many best-effort blocks may wait for a connection that is congested.
const maxBestEffort = 64

// SendBestEffort sends a block without reliability if it fits in a packet; it may be lost, doubled or
// overtake others, and it is dropped and counted when the connection cannot take it at once (B2). A
// block that does not fit is promoted to reliable: as Send, with the given lane. The block is copied.
func (s *Session) SendBestEffort(ctx context.Context, lane uint64, block []byte) error {
	if err := s.usable("send"); err != nil {
		return err
	}
	if len(block) > maxDatagram {
		return s.Send(ctx, lane, block)
	}
	s.datagrams.Do(func() {
		if s.sends.enter() && !s.spawn(s.sendDatagrams) {
			s.sends.leave()
		}
	})
	b := append(append(make([]byte, 0, 1+len(block)), byte(lane%uint64(s.host.cfg.Lanes))), block...)
	select {
	case s.bestEffort <- b:
	default:
		s.dropped.Add(1)
	}
	return nil
}

// maxDatagram is what surely fits: QUIC's minimum packet of 1200 bytes less its own overhead.
const maxDatagram = 1100

// sendDatagrams hands datagrams to the connection, which may block. A block that turns out not to fit
// this path is promoted after all.
func (s *Session) sendDatagrams() {
	defer s.sends.leave()
	for {
		var b []byte
		select {
		case b = <-s.bestEffort:
		case <-s.life.Done():
			return
		case <-s.closingc:
			if len(s.bestEffort) == 0 {
				return
			}
			continue
		}
		if s.pace.Wait(s.life, pace.Interactive, len(b)-1) != nil {
			return
		}
		on := s.current.Load()
		if on == nil {
			s.dropped.Add(1)
			continue
		}
		err := on.sendDatagram(b)
		if errors.Is(err, TooLarge) {
			if err = s.sendSmall(s.life, uint64(b[0]), b[1:]); err != nil {
				s.dropped.Add(1)
			}
			continue
		}
		if err != nil {
			s.dropped.Add(1)
			continue
		}
		s.counters.bestEffortSent.add(1, uint64(len(b)-1))
	}
}

// receiveDatagrams hands up what comes as datagrams.
func (n *link) receiveDatagrams() {
	if n.session.host.awaitReceiver(n.context()) != nil {
		return
	}
	for {
		b, err := n.receiveDatagram(n.context())
		if err != nil {
			return
		}
		n.heard.Add(1)
		if len(b) > 0 && b[0] < wire.MaxLanes {
			lane := n.session.inLane(uint64(b[0]))
			lane.mu.Lock()
			n.session.hand(b[1:])
			lane.mu.Unlock()
			n.session.counters.bestEffortReceived.add(1, uint64(len(b)-1))
		}
	}
}

// dropBestEffort drops what waits for a connection that has died: it is stale when there is another.
func (s *Session) dropBestEffort() {
	for {
		select {
		case <-s.bestEffort:
			s.dropped.Add(1)
		default:
			return
		}
	}
}
