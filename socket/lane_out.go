package socket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"sync"
	"time"

	"parley/internal/pace"
	"parley/wire"
)

// outLane queues the blocks of one lane, writes them, and keeps them until the peer has acknowledged them
// (C9). Senders append to a buffer under a mutex; one writer takes the whole buffer and writes it in one
// call. This shared path stands beside the session's loop because a channel hand-over per block would cost
// several times the block.
type outLane struct {
	session *Session
	index   uint64
	limit   int           // bytes that may be held
	wake    chan struct{} // holds a token when the writer has something to look at
	begins  *barrier      // what the first block waits for; nil if for nothing

	mu       sync.Mutex
	epoch    uint64        // how often the lane was split: who looked it up before that looks again
	barrier  *barrier      // what lanes split off from this one wait for; nil if they do not
	waiting  []byte        // framed blocks, in order; the last part of buffer
	buffer   []byte        // of laneBuffers; nil if waiting is
	queued   uint64        // blocks in waiting
	weight   int           // what they count in held
	accepted uint64        // blocks ever accepted
	unacked  []batch       // what has been taken from waiting and is not all acknowledged, in order
	next     uint64        // the first batch to write on the current stream is the one that begins here, or later
	acked    uint64        // blocks that the peer has
	held     int           // bytes waiting and unacknowledged, each block with its overhead
	room     chan struct{} // closed when there may be room; nil if nobody waits
	closing  bool          // no more sends
	err      error         // the session is over
	link     *link         // where stream is
	stream   stream        // nil between streams; only the writer sets it
	at       uint64        // number of the next block on it
	counters laneCounters
	paid     int // bytes that the limits have let pass and that were not written; the writer's
}

// batch is what was written in one call; it is immutable. Small ones follow one another in one buffer: a writer
// of single blocks would otherwise hold one for each until it is acknowledged.
type batch struct {
	bytes        []byte
	buffer       []byte // what bytes is the last part of: it goes back to laneBuffers; nil if others follow in it
	first, count uint64 // its blocks
	held         int    // what it counts in the lane's held
}

func (b *batch) end() uint64 { return b.first + b.count }

// drop forgets the first blocks of a batch, and returns what they counted in the lane's held.
func (b *batch) drop(blocks uint64) (held int) {
	for range blocks {
		size, n := binary.Uvarint(b.bytes)
		b.bytes = b.bytes[n+int(size):]
		held += int(size) + binary.MaxVarintLen32
	}
	b.first, b.count, b.held = b.first+blocks, b.count-blocks, b.held-held
	return held
}

// laneBuffers holds buffers of batches. An idle lane has none.
var laneBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

const (
	// maxPooledBatch keeps a burst from staying in memory for ever.
	maxPooledBatch = 256 << 10
	// minTail is how much of a buffer must be left for it to take more blocks.
	minTail = 256
	// maxMerged is how many bytes small batches grow to together: so much too much may be kept.
	maxMerged = 4 << 10
	// maxIdleBatches is how many places for batches an idle lane keeps: 2.5 KiB.
	maxIdleBatches = 32
)

func recycle(b []byte) {
	if b != nil && cap(b) <= maxPooledBatch {
		b = b[:0]
		laneBuffers.Put(&b)
	}
}

// outLane returns the lane that number is carried on right now, making it and its writer at first use, and its
// epoch.
func (s *Session) outLane(number uint64) (l *outLane, epoch uint64) {
	s.lanesMu.Lock()
	defer s.lanesMu.Unlock()
	i := number % max(s.lanes.Load(), 1)
	l = s.outLanes[i]
	if l == nil {
		l = &outLane{session: s, index: i, limit: s.host.cfg.LaneBuffer, wake: make(chan struct{}, 1)}
		if s.narrow > 0 && i >= s.narrow {
			l.begins = s.barriers[i%s.narrow]
		}
		if !s.sends.enter() {
			l.err = s.fail("send")
		} else if !s.spawn(l.run) {
			s.sends.leave()
			l.err = s.fail("send")
		}
		s.outLanes[i] = l
	}
	return l, l.epoch // only split changes it, with lanesMu held
}

// sendSmall queues a block of at most MaxLaneBlock bytes on the lane of number. It copies the block.
func (s *Session) sendSmall(ctx context.Context, number uint64, block []byte) error {
	l, epoch := s.outLane(number)
	room, err := l.offer(block, epoch)
	if room == roomTaken {
		return err
	}
	ctx, cancel := s.withSendTimeout(ctx) // once: waiting for many moments is waiting, too
	defer cancel()
	for room != roomTaken {
		if room == roomElsewhere {
			l, epoch = s.outLane(number)
		} else if err := l.awaitRoom(ctx, room == roomLacksBudget); err != nil {
			return err
		}
		room, err = l.offer(block, epoch)
	}
	return err
}

// room is what has become of an offer.
type room uint8

const (
	roomTaken       room = iota // the block is queued
	roomLacks                   // the lane's buffer is full
	roomLacksBudget             // the host's budget for replay is used up
	roomElsewhere               // the lane was split since it was looked up
)

// offer queues a block of at most MaxLaneBlock bytes if there is room. It copies the block, and never blocks. If
// there is none, l.mu is held when it returns. epoch is that of the lane when it was looked up.
func (l *outLane) offer(block []byte, epoch uint64) (room, error) {
	size := len(block) + binary.MaxVarintLen32
	l.mu.Lock()
	switch {
	case l.err != nil:
		err := l.err
		l.mu.Unlock()
		return roomTaken, err
	case l.closing:
		l.mu.Unlock()
		return roomTaken, l.session.fail("send")
	case l.epoch != epoch:
		l.mu.Unlock()
		return roomElsewhere, nil
	case l.held != 0 && l.held+size > l.limit:
		return roomLacks, nil
	case !l.session.replay.reserve(int64(size)):
		return roomLacksBudget, nil
	}
	l.makeRoom(size)
	l.waiting = binary.AppendUvarint(l.waiting, uint64(len(block)))
	l.waiting = append(l.waiting, block...)
	l.accepted++
	l.queued++
	l.weight += size
	l.held += size
	l.mu.Unlock()
	l.poke()
	return roomTaken, nil
}

// makeRoom sees to it that size more bytes fit into waiting. l.mu is held.
func (l *outLane) makeRoom(size int) {
	if l.waiting != nil && cap(l.waiting)-len(l.waiting) >= size {
		return
	}
	if n := len(l.unacked); n > 0 && l.unacked[n-1].buffer == nil { // it begins in this buffer
		l.unacked[n-1].buffer = l.buffer
	}
	b := *laneBuffers.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	if n := len(l.waiting) + size; cap(b) < n {
		b = slices.Grow(b, 2*n) // a burst that outgrows one buffer outgrows the next
	}
	l.waiting = append(b, l.waiting...)
	l.buffer = l.waiting
}

// awaitRoom waits until there may be room in the lane, or, if it is the host's budget that is used up, a
// moment. l.mu is held when it is called, and not when it returns.
func (l *outLane) awaitRoom(ctx context.Context, budget bool) error {
	if l.room == nil {
		l.room = make(chan struct{})
	}
	room := l.room
	l.mu.Unlock()
	if budget {
		return l.session.host.awaitReplay(ctx, l.session)
	}
	return l.session.await(ctx, room, "send")
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

// run is the writer. It ends when the lane is closing and everything is acknowledged, or with the session.
func (l *outLane) run() {
	defer l.session.sends.leave()
	if l.begins != nil {
		select {
		case <-l.begins.passed:
		case <-l.session.life.Done():
			return
		}
	}
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
		if l.write() {
			return
		}
	}
}

// write writes what there is to write, on the connection where the lane belongs. It reports whether the lane
// is done for good.
func (l *outLane) write() (done bool) {
	l.session.pending()
	for {
		on := l.session.place(l.index)
		l.move(on)
		if on == nil {
			return false // whoever finds a connection wakes us
		}
		b, ok, done := l.take()
		if !ok {
			return done
		}
		st, err := l.streamOn(on, b.first)
		if err == nil {
			err = l.put(st, b.bytes)
		}
		if err != nil {
			l.failed(on, err)
			continue
		}
		l.wrote(&b)
	}
}

// put writes a batch, in pieces if a limit applies. One that the connection does not take, because the lane
// moves meanwhile, leaves what was paid for it to what is written next.
func (l *outLane) put(st stream, b []byte) error {
	limits := l.session.pace
	for limits.Limited() && len(b) > 0 {
		n := min(len(b), pacePiece)
		if l.paid < n {
			if err := limits.Wait(l.session.life, pace.Interactive, n-l.paid); err != nil {
				return ctxError(l.session.life, "send", l.session.peer)
			}
			l.paid = n
		}
		if _, err := st.Write(b[:n]); err != nil {
			return err
		}
		l.paid -= n
		b = b[n:]
	}
	if len(b) == 0 {
		return nil
	}
	_, err := st.Write(b)
	return err
}

// take returns the next batch to write: one that was written before on another connection, or what waits.
func (l *outLane) take() (b batch, ok, done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.unacked); n > 0 && l.unacked[n-1].first >= l.next {
		i := sort.Search(n, func(i int) bool { return l.unacked[i].first >= l.next })
		b = l.unacked[i]
		l.counters.replayed.Blocks += b.count
		l.counters.replayed.Bytes += payload(b.held, b.count)
		return b, true, false
	}
	if l.queued == 0 {
		return batch{}, false, l.closing && l.held == 0
	}
	b = batch{bytes: l.waiting, first: l.accepted - l.queued, count: l.queued, held: l.weight}
	if tail := l.waiting[len(l.waiting):]; cap(tail) >= minTail {
		l.waiting = tail
	} else {
		b.buffer = l.buffer
		l.waiting, l.buffer = nil, nil
	}
	l.unacked = append(l.unacked, b)
	l.counters.taken += payload(b.held, b.count)
	l.queued, l.weight = 0, 0
	return b, true, false
}

// wrote notes that a batch has gone out.
func (l *outLane) wrote(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = b.end()
	l.next = max(l.next, b.end())
	l.merge()
}

// merge makes one batch of the last two if both are written, small, and side by side in a buffer, so that single
// blocks do not make a batch each. l.mu is held, by the writer.
func (l *outLane) merge() {
	n := len(l.unacked)
	if n < 2 || l.unacked[n-1].end() > l.next {
		return
	}
	a, b := &l.unacked[n-2], &l.unacked[n-1]
	if size := len(a.bytes) + len(b.bytes); a.buffer == nil && size <= maxMerged {
		a.bytes = a.bytes[:size]
		a.count, a.held, a.buffer = a.count+b.count, a.held+b.held, b.buffer
		l.unacked = slices.Delete(l.unacked, n-1, n)
	}
}

// move leaves the current stream if it is on another connection than on. What it carried and the peer has not
// acknowledged is sent again on the next one: the peer takes whichever comes first.
func (l *outLane) move(on *link) {
	l.mu.Lock()
	st := l.stream
	if l.link == on || st == nil {
		l.mu.Unlock()
		return
	}
	l.forgetStream()
	l.mu.Unlock()
	refuse(st, resetMoved)
}

// forgetStream has the lane begin again with the first block that is not acknowledged. l.mu is held.
func (l *outLane) forgetStream() {
	l.link, l.stream = nil, nil
	l.next = 0
	if len(l.unacked) > 0 {
		l.next = l.unacked[0].first
	}
}

// abandon makes a blocked write on a connection give up: the lane is to move away from it.
func (l *outLane) abandon(n *link) {
	l.mu.Lock()
	if l.link == n && l.stream != nil {
		_ = l.stream.setWriteDeadline(time.Unix(1, 0))
	}
	l.mu.Unlock()
	l.poke()
}

// streamOn returns the lane's stream on a connection, about to carry block first.
func (l *outLane) streamOn(on *link, first uint64) (stream, error) {
	l.mu.Lock()
	st := l.stream
	if st != nil && l.at != first { // what lies between was acknowledged meanwhile: it came by an earlier connection
		l.link, l.stream = nil, nil
		l.mu.Unlock()
		_ = st.closeWrite()
		st.cancelRead(resetMoved)
	} else {
		l.mu.Unlock()
		if st != nil {
			return st, nil
		}
	}
	head, err := wire.Preamble{Kind: wire.StreamLane, Lane: l.index, Number: first}.Append(nil)
	if err != nil {
		return nil, &Error{Code: Internal, Op: "open lane", Peer: l.session.peer, Err: err}
	}
	st, err = l.session.openOn(l.session.life, on, head, priorityLane)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.link, l.stream, l.at = on, st, first
	l.mu.Unlock()
	return st, nil
}

// failed handles an error of writing. Lanes are never refused: a peer that resets one while its connection
// lives, and has not moved, breaks the protocol.
func (l *outLane) failed(on *link, err error) {
	l.mu.Lock()
	st := l.stream
	l.forgetStream()
	l.mu.Unlock()
	if st != nil {
		refuse(st, resetMoved)
	}
	// The death of a connection, or of the session, may be a timeout as well: the lane must not try there for ever.
	lives := on.context().Err() == nil && l.session.life.Err() == nil
	if lives && isTimeout(err) {
		return // abandon: the session has moved
	}
	if lives {
		l.session.unplace(on)
		said, _ := errors.AsType[*PeerError](err)
		if _, ok := errors.AsType[*ResetError](err); ok || said != nil && said.reset {
			l.session.post(event{kind: evLost, err: violation(l.session.peer, "a lane was broken off: "+err.Error())})
			return
		}
		on.close(closeInternal, "")
		return
	}
	l.session.unplace(on)
}

// acknowledge drops what the peer has: all blocks before count. It reports whether count makes sense.
func (l *outLane) acknowledge(count uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := l.acked
	if n := len(l.unacked); n > 0 {
		sent = l.unacked[n-1].end()
	}
	switch {
	case count > sent:
		return false
	case count <= l.acked:
		return true // an older one that came late
	}
	freed, gone, still := 0, 0, true
	for ; gone < len(l.unacked) && l.unacked[gone].end() <= count; gone++ {
		b := &l.unacked[gone]
		freed += b.held
		l.counters.acked += payload(b.held, b.count)
		if still = b.end() <= l.next; still { // else the writer may be reading it right now
			recycle(b.buffer)
		}
		l.next = max(l.next, b.end())
	}
	l.unacked = slices.Delete(l.unacked, 0, gone)
	if len(l.unacked) > 0 && l.unacked[0].first < count { // on another connection the lane goes on with the next
		blocks := count - l.unacked[0].first
		held := l.unacked[0].drop(blocks)
		l.counters.acked += payload(held, blocks)
		freed += held
	}
	if len(l.unacked) == 0 { // idle, it has none
		if cap(l.unacked) > maxIdleBatches {
			l.unacked = nil
		}
		if l.queued == 0 {
			if still {
				recycle(l.buffer)
			}
			l.waiting, l.buffer = nil, nil
		}
	}
	l.acked = count
	l.passBarrier()
	l.release(freed)
	if l.closing && l.held == 0 {
		l.poke()
	}
	return true
}

// release makes room. l.mu is held.
func (l *outLane) release(bytes int) {
	l.held -= bytes
	l.session.replay.release(int64(bytes))
	if l.room != nil && bytes > 0 {
		close(l.room)
		l.room = nil
	}
}

// finish has the lane end when everything is acknowledged.
func (l *outLane) finish() {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.poke()
}

// abort fails everything that waits, and everything after. The writer has ended, or is about to.
func (l *outLane) abort(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	l.passBarrier()
	l.release(l.held)
	l.waiting, l.buffer, l.unacked = nil, nil, nil
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

// unacknowledged is what the lanes hold.
func (s *Session) unacknowledged() (blocks uint64, bytes int) {
	for _, l := range s.lanesOut() {
		l.mu.Lock()
		if l.err == nil {
			blocks += l.accepted - l.acked
			bytes += l.held
		}
		l.mu.Unlock()
	}
	return blocks, bytes
}

// undelivered describes what is not known to have arrived.
func (s *Session) undelivered() error {
	blocks, _ := s.unacknowledged()
	streams, bytes := s.streams.unacked()
	return fmt.Errorf("%d blocks, and %d bytes on %d streams, are not known to have arrived", blocks, bytes, streams)
}
