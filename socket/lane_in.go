package socket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"parley/wire"
)

// inLane delivers the blocks of one of the peer's lanes, one at a time and in order, whichever
// connection they come on.
type inLane struct {
	mu      sync.Mutex    // held while a block is handed up
	next    uint64        // number of the next block
	owned   bool          // a stream is being read
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

func stalled(ctx context.Context, changed <-chan struct{}) error {
	t := time.NewTimer(laneStall)
	defer t.Stop()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return errLaneStalled
	}
}

var errLaneNumber = errors.New("lane numbers go backwards")

// claim waits until the stream whose first block is number may deliver: all blocks before it have been.
func (l *inLane) claim(ctx context.Context, number uint64) error {
	for {
		l.mu.Lock()
		next := l.next
		if next == number && !l.owned {
			l.owned = true
			l.mu.Unlock()
			return nil
		}
		changed := l.nextChange()
		l.mu.Unlock()
		if number < next {
			return errLaneNumber
		}
		if err := stalled(ctx, changed); err != nil {
			return err
		}
	}
}

func (l *inLane) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owned = false
	l.notify()
}

// deliverAfter hands a large block up once every block before it in its lane has been.
func (l *inLane) deliverAfter(ctx context.Context, number uint64, hand func()) error {
	for {
		l.mu.Lock()
		if l.next >= number {
			hand()
			l.mu.Unlock()
			return nil
		}
		changed := l.nextChange()
		l.mu.Unlock()
		if err := stalled(ctx, changed); err != nil {
			return err
		}
	}
}

// laneReaders holds read buffers. A stream has one only while something is there to read, so that an
// idle session holds none. 16 KiB is a train of eleven packets.
var laneReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 16<<10) }}

// receiveLane reads a lane's stream to its end and then ends the other direction, which tells the peer
// that everything was handed up.
func (n *link) receiveLane(st stream, p wire.Preamble) {
	s := n.session
	defer n.completeIncoming()
	lane := s.inLane(p.Lane)
	err := s.host.awaitReceiver(n.context())
	if err == nil {
		err = lane.claim(n.context(), p.Number)
	}
	if err == nil {
		err = n.readBlocks(st, lane)
		lane.release()
	}
	if err == nil {
		_ = st.closeWrite()
		return
	}
	st.cancelRead(resetCanceled)
	st.cancelWrite(resetCanceled)
	n.broken(fmt.Sprintf("lane %d", p.Lane), err)
}

func (n *link) readBlocks(st stream, lane *inLane) error {
	for {
		if err := st.peek(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		r := laneReaders.Get().(*bufio.Reader) //nolint:forcetypeassert // the pool holds nothing else
		r.Reset(st)
		err := n.readBuffered(r, lane)
		r.Reset(nil)
		laneReaders.Put(r)
		if err != nil {
			return err
		}
	}
}

// readBuffered reads blocks until the buffer is empty between two of them.
func (n *link) readBuffered(r *bufio.Reader, lane *inLane) error {
	for {
		size, err := wire.ReadUvarint(r, wire.MaxLaneBlock)
		if err != nil {
			return unexpected(err)
		}
		block := make([]byte, size) // at most MaxLaneBlock
		if _, err := io.ReadFull(r, block); err != nil {
			return unexpected(err)
		}
		lane.mu.Lock()
		n.session.hand(block)
		lane.next++
		lane.notify()
		lane.mu.Unlock()
		if r.Buffered() == 0 {
			return nil
		}
	}
}

// unexpected turns an end in the middle of a block into an error.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
