package socket

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"parley/internal/pace"
	"parley/peer"
	"parley/wire"
)

// streams are the byte streams and large blocks of a session that are not complete. They belong to the
// session: connections come and go below them. All methods are safe for concurrent use, and none blocks
// unless it takes a context. Unused, it holds nothing.
type streams struct {
	env     streamEnv
	session *Session // for Stream.Session
	self    peer.ID
	peer    peer.ID
	life    context.Context // the session's; its cause is why it ended
	limit   int             // streams that either side may have open
	buffer  int             // bytes that a stream keeps until they are acknowledged
	largest int             // the longest block accepted
	memory  *budget         // for blocks being received
	replay  *replay         // what is written and not acknowledged, blocks excepted: those are the caller's
	pace    *pace.Limiter   // of the session

	tasks   gate         // goroutines
	waiting atomic.Int64 // bytes that are written and not acknowledged
	late    atomic.Int64 // streams whose readers are behind, as tick has found
	fresh   atomic.Int64 // streams of which the peer's application has been given bytes and has read none

	drain struct {
		mu    sync.Mutex
		empty signal // waiting has reached zero
	}

	mu      sync.Mutex
	over    bool
	pick    func(number uint64) *link // where a stream of ours belongs; nil: nowhere now
	open    map[streamID]*flow
	next    uint64 // the number of the last stream that we opened
	ours    int    // how many of open we opened
	room    signal // there are fewer
	seen    seen   // the peer's numbers
	finals  finals
	dirty   []*flow                        // they have something to say
	answers map[streamID]*wire.StreamCount // what to say of streams that are not in open
	early   map[uint64]*wire.StreamCount   // what the peer said of streams whose carriers have yet to come
	orphans map[streamID][]*flow           // children whose parents have yet to come, by parent
	waifs   int                            // how many of them
}

func (t *streams) closed(op string) error  { return &Error{Code: Closed, Op: op, Peer: t.peer} }
func (t *streams) timeout(op string) error { return &Error{Code: Timeout, Op: op, Peer: t.peer} }

// refused is what the peer meant by a reset code.
func (t *streams) refused(op string, code uint32) error {
	if c := resetCode(code); c < resetUser {
		return &PeerError{Code: c.meaning(), Op: op, Peer: t.peer, reset: true}
	}
	return &ResetError{Code: code - uint32(resetUser), Peer: t.peer}
}

// spawn runs f unless the session is over. It takes no lock but its own.
func (t *streams) spawn(f func()) bool {
	if !t.tasks.enter() {
		return false
	}
	go func() {
		defer t.tasks.leave()
		f()
	}()
	return true
}

// unsettled counts bytes that were written. It reports whether none waited before.
func (t *streams) unsettled(n int64) bool { return t.waiting.Add(n) == n }

// settle counts bytes that wait no longer.
func (t *streams) settle(n int64) {
	if t.waiting.Add(-n) == 0 {
		t.drain.mu.Lock()
		t.drain.empty.fire()
		t.drain.mu.Unlock()
	}
}

// drained is closed when every byte written so far has been acknowledged, or its stream is over.
func (t *streams) drained() <-chan struct{} {
	t.drain.mu.Lock()
	defer t.drain.mu.Unlock()
	c := t.drain.empty.wait()
	if t.waiting.Load() == 0 {
		t.drain.empty.fire()
	}
	return c
}

// unacked is how many streams have written bytes that are not acknowledged, and how many bytes that is.
func (t *streams) unacked() (streams int, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.open {
		f.mu.Lock()
		if f.out.counted < f.out.end || f.out.ending {
			streams++
		}
		f.mu.Unlock()
	}
	return streams, t.waiting.Load()
}

// create gives f a number, waiting until fewer than the limit are open.
func (t *streams) create(ctx context.Context, op string, f *flow) error {
	for {
		t.mu.Lock()
		switch {
		case t.over:
			t.mu.Unlock()
			return t.env.fail(op)
		case f.parent != nil && f.parent.family.closed:
			t.mu.Unlock()
			return t.closed(op)
		case t.ours < t.limit:
			t.next++
			f.id = streamID{number: t.next, ours: true}
			f.head.Stream = t.next
			t.register(f)
			pick := t.pick
			t.mu.Unlock()
			if pick != nil {
				if n := pick(f.id.number); n != nil {
					t.spawn(func() { f.connect(n) })
				}
			}
			return nil
		}
		room := t.room.wait()
		t.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctxError(ctx, op, t.peer)
		case <-t.life.Done():
			return t.env.fail(op)
		}
	}
}

// register puts f into the table. t.mu is held.
func (t *streams) register(f *flow) {
	if t.open == nil {
		t.open = make(map[streamID]*flow)
	}
	t.open[f.id] = f
	if f.id.ours {
		t.ours++
	}
	if f.parent != nil {
		f.parent.family.add(f)
	}
}

// remove takes a flow that is complete out of the table. It returns what its end ends too, for the caller to
// free once t.mu, which is held, is not.
func (t *streams) remove(f *flow) []*flow {
	f.mu.Lock()
	f.left = true
	last := final{id: f.id, count: f.in.received, stop: f.in.stop}
	f.hearing.fire()
	f.mu.Unlock()
	delete(t.open, f.id)
	t.finals.add(last)
	if f.id.ours {
		t.ours--
		t.room.fire()
	}
	if f.parent != nil {
		delete(f.parent.family.kids, f)
	}
	return t.endKids(f)
}

// retire releases what a completed flow held. No lock is held.
func (t *streams) retire(gone []*flow, ended []*flow) {
	for _, f := range gone {
		f.mu.Lock()
		a := f.at
		f.at = nil
		f.mu.Unlock()
		a.release(resetCanceled)
	}
	for _, f := range ended {
		f.free()
	}
	if len(ended) > 0 {
		t.env.ackNow()
	}
}

// detach takes every stream off a connection that is lost, or on which we open nothing any more. The peer's
// streams come back if the connection lives: it is the opener who moves a stream.
func (t *streams) detach(n *link) {
	var left []*attachment
	t.mu.Lock()
	for _, f := range t.open {
		f.mu.Lock()
		if a := f.leave(n); a != nil {
			left = append(left, a)
		}
		f.mu.Unlock()
	}
	t.mu.Unlock()
	for _, a := range left {
		a.release(resetMoved)
	}
}

// attach says on which connection each stream that we open belongs; pick is called at any time and returns
// nil if there is none. Streams that are elsewhere move, one after the other, the most urgent first.
func (t *streams) attach(pick func(number uint64) *link) {
	t.mu.Lock()
	t.pick = pick
	var move []*flow
	for _, f := range t.open {
		if f.id.ours {
			f.mu.Lock()
			f.lost = 0
			f.mu.Unlock()
			move = append(move, f)
		}
	}
	t.mu.Unlock()
	if len(move) == 0 || pick == nil {
		return
	}
	t.spawn(func() {
		urgency := make(map[*flow]priority, len(move))
		for _, f := range move {
			f.mu.Lock()
			urgency[f] = f.priority
			f.mu.Unlock()
		}
		slices.SortFunc(move, func(f, g *flow) int {
			return cmp.Or(cmp.Compare(urgency[f], urgency[g]), cmp.Compare(f.id.number, g.id.number))
		})
		for _, f := range move {
			if n := t.linkFor(f.id.number); n != nil {
				f.connect(n)
			}
		}
	})
}

// linkFor is where a stream of ours belongs, nil if nowhere now.
func (t *streams) linkFor(number uint64) *link {
	t.mu.Lock()
	pick := t.pick
	t.mu.Unlock()
	if pick == nil {
		return nil
	}
	return pick(number)
}

// fail ends every stream: the session is over. The channel is closed when nothing of them is running.
func (t *streams) fail() <-chan struct{} {
	t.mu.Lock()
	t.over = true
	all := t.open
	t.open, t.dirty, t.answers, t.early, t.orphans, t.pick = nil, nil, nil, nil, nil, nil
	t.ours = 0
	t.room.fire()
	for _, f := range all {
		f.family.close()
	}
	t.mu.Unlock()
	stopped := t.tasks.close()
	for _, f := range all {
		f.end().release(resetClosed)
	}
	return stopped
}
