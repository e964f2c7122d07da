package socket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"parley/wire"
)

// outLane queues the blocks of one lane and writes them. Senders append to a buffer under a mutex; one
// writer takes the whole buffer and writes it in one call. This shared path stands beside the session's
// loop because a channel hand-over per block would cost several times the block.
type outLane struct {
	session *Session
	index   uint64
	limit   int           // bytes that may wait
	wake    chan struct{} // holds a token when the writer has something to look at

	mu       sync.Mutex
	waiting  []byte        // framed blocks, in order
	queued   uint64        // blocks in waiting
	accepted uint64        // blocks ever accepted
	room     chan struct{} // closed when waiting is taken; nil if nobody blocks
	closing  bool          // no more sends; flush and end the stream
	err      error         // the session is over

	// Owned by the writer.
	spare   []byte
	written uint64 // blocks handed to a stream
	link    *link  // of stream
	stream  stream // nil between streams
}

// outLane returns the lane that number is carried on, making it and its writer at first use.
func (s *Session) outLane(number uint64) *outLane {
	i := number % max(s.lanes.Load(), 1)
	s.lanesMu.Lock()
	defer s.lanesMu.Unlock()
	l := s.outLanes[i]
	if l == nil {
		l = &outLane{session: s, index: i, limit: s.host.cfg.LaneBuffer, wake: make(chan struct{}, 1)}
		if s.sends.enter() {
			s.handing.Go(l.run)
		} else {
			l.err = s.fail("send")
		}
		s.outLanes[i] = l
	}
	return l
}

// send queues a block of at most MaxLaneBlock bytes. It copies the block.
func (l *outLane) send(ctx context.Context, block []byte) error {
	l.mu.Lock()
	for {
		switch {
		case l.err != nil:
			err := l.err
			l.mu.Unlock()
			return err
		case l.closing:
			l.mu.Unlock()
			return l.session.fail("send")
		}
		if len(l.waiting) == 0 || len(l.waiting)+len(block)+binary.MaxVarintLen32 <= l.limit {
			break
		}
		if l.room == nil {
			l.room = make(chan struct{})
		}
		room := l.room
		l.mu.Unlock()
		if err := l.session.await(ctx, room, "send"); err != nil {
			return err
		}
		l.mu.Lock()
	}
	l.waiting = binary.AppendUvarint(l.waiting, uint64(len(block)))
	l.waiting = append(l.waiting, block...)
	l.accepted++
	l.queued++
	l.mu.Unlock()
	l.poke()
	return nil
}

func (l *outLane) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// position is how many blocks have been accepted on the lane so far.
func (l *outLane) position() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted
}

// run is the writer. It ends when the lane has been flushed for closing, or with the session.
func (l *outLane) run() {
	defer l.session.sends.leave()
	for {
		select {
		case <-l.wake:
		case <-l.session.life.Done():
			return
		}
		// One yield lets every goroutine that is about to send do so before the buffer is taken: measured, it
		// raises 128-byte requests at 1,024 in flight from 414 to 605 thousand a second. A timer would cost
		// milliseconds.
		runtime.Gosched()
		batch, blocks, closing := l.take()
		err := l.write(batch, blocks)
		if err == nil && closing {
			err = l.endStream()
			if err == nil {
				return
			}
		}
		if err != nil {
			l.session.post(event{kind: evLost, err: l.session.laneBroken(err)})
			return
		}
		l.spare = batch[:0]
	}
}

func (l *outLane) take() (batch []byte, blocks uint64, closing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch, blocks = l.waiting, l.queued
	l.waiting, l.queued, l.spare = l.spare[:0], 0, nil
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
	return batch, blocks, l.closing
}

// write sends a batch on the session's current link, moving there first if it has changed.
func (l *outLane) write(batch []byte, blocks uint64) error {
	cur := l.session.current.Load()
	if l.stream != nil && l.link != cur {
		old := l.handOver()
		l.session.sends.again() // a graceful close waits for this as well
		l.session.handing.Go(func() {
			defer l.session.sends.leave()
			if err := old(); err != nil {
				l.session.post(event{kind: evLost, err: l.session.laneBroken(err)})
			}
		})
	}
	if len(batch) == 0 {
		return nil
	}
	if l.stream == nil {
		if err := l.openStream(); err != nil {
			return err
		}
	}
	_, err := l.stream.Write(batch)
	l.written += blocks
	return err
}

func (l *outLane) openStream() error {
	on, st, err := l.session.openStream(l.session.life, priorityLane, wire.Preamble{Kind: wire.StreamLane, Lane: l.index, Number: l.written})
	l.link, l.stream = on, st
	return err
}

// handOver leaves the current stream; the function it returns waits until the peer has read it all.
func (l *outLane) handOver() (confirm func() error) {
	on, st := l.link, l.stream
	l.link, l.stream = nil, nil
	err := st.closeWrite()
	return func() error {
		defer on.complete()
		if err != nil {
			return err
		}
		return confirmed(st)
	}
}

func (l *outLane) endStream() error {
	if l.stream == nil {
		return nil
	}
	return l.handOver()()
}

// confirmed waits for the peer to end its direction of a stream, which it does when it has handed up
// everything that came in ours.
func confirmed(st stream) error {
	var b [1]byte
	n, err := st.Read(b[:])
	switch {
	case n > 0:
		return errors.New("the peer wrote where it must only confirm")
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// laneBroken is the cause of a session's death for an error on a lane of ours. Lanes are never refused:
// a peer that resets one, or writes where it may only confirm, breaks the protocol.
func (s *Session) laneBroken(err error) error {
	var mine *Error
	var theirs *PeerError
	if errors.As(err, &mine) || errors.As(err, &theirs) && !theirs.reset {
		return err
	}
	return violation(s.peer, "a lane was broken off: "+err.Error())
}

// finish has the lane flushed and its stream ended.
func (l *outLane) finish() {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.poke()
}

// abort fails everything that waits, and everything after.
func (l *outLane) abort(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
}

func (s *Session) wakeLanes() {
	for _, l := range s.lanesOut() {
		l.poke()
	}
}

func (s *Session) failLanes() {
	for _, l := range s.lanesOut() {
		l.abort(s.fail("send"))
	}
}

func (s *Session) lanesOut() (lanes []*outLane) {
	s.lanesMu.Lock()
	defer s.lanesMu.Unlock()
	for _, l := range s.outLanes {
		if l != nil {
			lanes = append(lanes, l)
		}
	}
	return lanes
}

// undelivered describes what is not known to have arrived.
func (s *Session) undelivered() error {
	var blocks, bytes uint64
	for _, l := range s.lanesOut() {
		l.mu.Lock()
		blocks += l.queued
		bytes += uint64(len(l.waiting))
		l.mu.Unlock()
	}
	return fmt.Errorf("%d blocks (%d bytes) were still unsent, and the last ones sent are not known to have arrived", blocks, bytes)
}
