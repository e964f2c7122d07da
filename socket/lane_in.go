package socket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"parley/wire"
)

// inLane delivers the blocks of one of the peer's lanes, one at a time and in order, whichever connections
// they come on and however often.
type inLane struct {
	mu      sync.Mutex    // held while a block is handed up
	next    atomic.Uint64 // number of the next block: also how many were handed up; mu guards its changes only
	changed chan struct{} // closed at the next change; nil if nobody waits
}

func (s *Session) inLane(i uint64) *inLane {
	s.lanesMu.Lock()
	defer s.lanesMu.Unlock()
	l := s.inLanes[i]
	if l == nil {
		l = &inLane{}
		s.inLanes[i] = l
	}
	return l
}

// notify wakes whoever waits for the lane. l.mu is held.
func (l *inLane) notify() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// nextChange is closed when the lane changes. l.mu is held.
func (l *inLane) nextChange() <-chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// laneStall is how long a lane may stand still while something waits for its turn on it (threats T14, T15):
// what comes before it must then be lost, or never have been.
const laneStall = time.Minute

var errLaneStalled = errors.New("the blocks before it do not come")

var errLaneNumber = errors.New("lane numbers skip some")

// deliverAfter hands a large block up once every block before it in its lane has been.
func (s *Session) deliverAfter(ctx context.Context, lane *inLane, number uint64, hand func()) error {
	t := time.NewTimer(laneStall)
	defer t.Stop()
	outages := s.outages.Load()
	for {
		lane.mu.Lock()
		if lane.next.Load() >= number {
			hand()
			lane.mu.Unlock()
			return nil
		}
		changed := lane.nextChange()
		lane.mu.Unlock()
		select {
		case <-changed:
			t.Reset(laneStall)
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			now := s.outages.Load()
			if now == outages && s.Condition() == ConditionUp {
				return errLaneStalled
			}
			outages = now
			t.Reset(laneStall)
		}
	}
}

// laneReaders holds read buffers. A stream has one only while something is there to read, so that an
// idle session holds none. 16 KiB is a train of eleven packets.
var laneReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 16<<10) }}

// receiveLane reads a lane's stream to its end. A stream begins at the latest with the block that is next:
// the peer sends again what it does not know to have arrived.
func (n *link) receiveLane(st stream, p wire.Preamble) {
	s := n.session
	lane := s.inLane(p.Lane)
	if s.host.awaitReceiver(n.context()) != nil {
		return
	}
	err := errLaneNumber
	if p.Number <= lane.next.Load() {
		r := laneReader{link: n, stream: st, lane: lane, index: p.Lane, at: p.Number}
		err = r.run()
	}
	switch {
	case err == nil:
		_ = st.closeWrite()
	case isMoved(err):
		refuse(st, resetMoved)
	default:
		refuse(st, resetCanceled)
		n.broken(fmt.Sprintf("lane %d", p.Lane), err)
	}
}

// maxLaneReads is how many lanes' streams a session reads at a time: each may claim a block and a buffer, 80 KiB,
// with a few bytes (threat T14). Every lane, on as many connections as a move has under way; further ones wait.
const maxLaneReads = 4 * wire.MaxLanes

// laneReader reads one stream of a lane.
type laneReader struct {
	link   *link
	stream stream
	lane   *inLane
	index  uint64
	at     uint64 // number of the next block on the stream
	fresh  Amount // handed up since note
	again  Amount // not handed up since note, because they had been before
}

func (r *laneReader) run() error {
	s := r.link.session
	for {
		if err := r.stream.peek(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		select {
		case s.laneReads <- struct{}{}:
		case <-r.link.context().Done():
			return context.Cause(r.link.context())
		}
		buffer := laneReaders.Get().(*bufio.Reader) //nolint:forcetypeassert // the pool holds nothing else
		buffer.Reset(r.stream)
		err := r.buffered(buffer)
		buffer.Reset(nil)
		laneReaders.Put(buffer)
		<-s.laneReads
		r.note()
		if err != nil {
			return err
		}
	}
}

// note says and counts what has been read since the last time.
func (r *laneReader) note() {
	s := r.link.session
	r.link.heard.Add(1)
	s.acks.lane(r.index, r.size())
	s.counters.received.add(r.fresh.Blocks, r.fresh.Bytes)
	if r.again.Blocks > 0 {
		s.duplicates.Add(r.again.Blocks)
		s.counters.duplicateBytes.Add(r.again.Bytes)
	}
	r.fresh, r.again = Amount{}, Amount{}
}

// size is about how many bytes of the stream have been read since note.
func (r *laneReader) size() int {
	return int(r.fresh.Bytes + r.fresh.Blocks + r.again.Bytes + r.again.Blocks)
}

// buffered reads blocks until the buffer is empty between two of them. That may be long in coming.
func (r *laneReader) buffered(buffer *bufio.Reader) error {
	for {
		size, err := wire.ReadUvarint(buffer, wire.MaxLaneBlock)
		if err != nil {
			return unexpected(err)
		}
		block := make([]byte, size) // at most MaxLaneBlock
		if _, err := io.ReadFull(buffer, block); err != nil {
			return unexpected(err)
		}
		if err := r.deliver(block); err != nil {
			return err
		}
		if buffer.Buffered() == 0 {
			return nil
		}
		if r.size() >= ackBytes {
			r.note()
		}
	}
}

// deliver hands a block up unless it has been before.
func (r *laneReader) deliver(block []byte) error {
	r.lane.mu.Lock()
	defer r.lane.mu.Unlock()
	switch next := r.lane.next.Load(); {
	case r.at == next:
		r.link.session.hand(block)
		r.lane.next.Add(1)
		r.lane.notify()
		r.fresh.add(len(block))
	case r.at < next:
		r.again.add(len(block))
	default: // only if the peer began in time and another stream went back, which none can
		return errLaneNumber
	}
	r.at++
	return nil
}

// isMoved reports whether the peer left a stream for another connection.
func isMoved(err error) bool {
	said, ok := errors.AsType[*PeerError](err)
	return ok && said.moved
}

// unexpected turns an end in the middle of a block into an error.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
