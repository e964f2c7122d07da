package socket

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"

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

	tasks   gate         // goroutines
	waiting atomic.Int64 // bytes that are written and not acknowledged

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

// seenWindow is how many of a peer's stream numbers below the highest are told apart, in units of the limit
// on open streams: out of order come at most those that are open.
const seenWindow = 4

// maxOrphans is how many children may wait for their parents to come; further ones are refused.
const maxOrphans = 128

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

// mark has collect return what there is to say of f.
func (t *streams) mark(f *flow) {
	if f.dirty.CompareAndSwap(false, true) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if !t.over {
			t.dirty = append(t.dirty, f)
		}
	}
}

// remark is mark with t.mu held.
func (t *streams) remark(f *flow) {
	if f.dirty.CompareAndSwap(false, true) {
		t.dirty = append(t.dirty, f)
	}
}

// answer has collect return c, of a stream that is not in the table. t.mu is held. Who asks after more
// streams than may be open gets no answer.
func (t *streams) answer(id streamID, c *wire.StreamCount) {
	if t.answers == nil {
		t.answers = make(map[streamID]*wire.StreamCount)
	}
	if len(t.answers) < t.limit {
		t.answers[id] = c
	}
}

// collect returns up to most entries that the peer is to be told now, on one connection, and forgets that
// they were to be said. If it returns as many there may be more.
func (t *streams) collect(most int) (entries []*wire.StreamCount) {
	var gone, ended []*flow
	t.mu.Lock()
	for id, c := range t.answers {
		if len(entries) == most {
			break
		}
		entries = append(entries, c)
		delete(t.answers, id)
	}
	n := 0
	for ; n < len(t.dirty) && len(entries) < most; n++ {
		f := t.dirty[n]
		t.dirty[n] = nil
		f.dirty.Store(false)
		f.mu.Lock()
		left := f.left
		if c := f.entry(); c != nil && !left {
			entries = append(entries, c)
			f.in.said = f.in.said || f.in.done
		}
		over := !left && f.complete()
		f.mu.Unlock()
		if over {
			ended = append(ended, t.remove(f)...)
			gone = append(gone, f)
		}
	}
	if t.dirty = t.dirty[n:]; len(t.dirty) == 0 {
		t.dirty = nil
	}
	t.mu.Unlock()
	t.retire(gone, ended)
	return entries
}

// resay has everything said again: a connection was lost, and what was said on it last may be as well.
func (t *streams) resay() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.open {
		t.remark(f)
	}
}

// counts takes in what the peer says of streams. The error is a violation that ends the session.
func (t *streams) counts(in []*wire.StreamCount) error {
	urgent := false
	var gone, ended, heeded []*flow
	var err error
	t.mu.Lock()
	for _, c := range in {
		if t.over || err != nil {
			break
		}
		id := streamID{number: c.GetStream(), ours: c.GetYours()}
		f := t.open[id]
		if f == nil {
			var answered bool
			answered, err = t.unknown(id, c)
			urgent = urgent || answered
			continue
		}
		f.mu.Lock()
		var answer bool
		if answer, err = f.heed(c); answer {
			t.remark(f)
			urgent = true
		}
		over := f.complete()
		f.mu.Unlock()
		switch {
		case over:
			ended = append(ended, t.remove(f)...)
			gone = append(gone, f)
		case c.GetStop() != 0: // who gives up reading has closed the stream
			ended = append(ended, t.endKids(f)...)
			fallthrough
		case c.GetDone() || c.GetReset_() != 0:
			heeded = append(heeded, f)
		}
	}
	t.mu.Unlock()
	for _, f := range heeded {
		f.free()
	}
	t.retire(gone, ended)
	if urgent {
		t.env.ackNow()
	}
	return err
}

// unknown takes in what the peer says of a stream that is not in the table. It reports whether there is an
// answer. t.mu is held.
func (t *streams) unknown(id streamID, c *wire.StreamCount) (answered bool, err error) {
	switch {
	case id.ours && id.number > t.next:
		return false, violation(t.peer, "a count of a stream that was never opened")
	case id.ours || t.seen.has(id.number):
		if c.GetReset_() == said(resetGone) { // an answer itself
			return false, nil
		}
	case c.GetCount() != 0:
		return false, violation(t.peer, "more was received of a stream than was sent")
	case c.GetReset_() != 0:
		// It has ended before it came: it need not come any more.
		t.seen.add(id.number, seenWindow*t.limit)
		t.finals.add(final{id: id, stop: said(resetCanceled)})
		t.bereave(id)
	case (c.GetStop() != 0 || c.GetDone()) && len(t.early) < t.limit:
		if t.early == nil {
			t.early = make(map[uint64]*wire.StreamCount)
		}
		t.early[id.number] = c
		return false, nil
	default:
		return false, nil
	}
	t.answer(id, t.finals.answer(id))
	return true, nil
}

// receive takes in a carrier stream that the peer has opened on n and whose preamble was p, of a byte stream
// or a block. The error is a violation that ends the session. The carrier is released in any case.
func (t *streams) receive(n *link, st stream, p wire.Preamble) error {
	id := streamID{number: p.Stream}
	t.mu.Lock()
	if t.over {
		t.mu.Unlock()
		(&attachment{st: st}).release(resetClosed)
		return nil
	}
	f := t.open[id]
	first := f == nil
	var refusal resetCode // of a new stream, if not zero
	if first {
		var err error
		if f, refusal, err = t.arrive(id, p); f == nil {
			t.mu.Unlock()
			(&attachment{st: st}).release(resetCanceled)
			t.env.ackNow()
			return err
		}
	}
	f.mu.Lock()
	leave, err := f.meet(n, st, p)
	if first && err == nil && refusal == 0 {
		if c := t.early[p.Stream]; c != nil {
			delete(t.early, p.Stream)
			_, err = f.heed(c)
		}
	}
	f.mu.Unlock()
	t.mu.Unlock()
	leave.release(resetMoved)
	f.free()
	if err != nil || !first {
		return err
	}
	t.welcome(f, refusal)
	return nil
}

// meet is accept, for a stream that must be the one whose number it has. f.mu is held.
func (f *flow) meet(n *link, st stream, p wire.Preamble) (leave *attachment, err error) {
	same := p
	same.Offset, same.Received = 0, 0
	if same != f.head {
		return &attachment{st: st}, violation(f.t.peer, "two streams with one number")
	}
	return f.accept(n, st, p)
}

// arrive makes a stream that the peer has opened. Without one, the carrier is of no use. t.mu is held.
func (t *streams) arrive(id streamID, p wire.Preamble) (f *flow, refusal resetCode, err error) {
	parent := streamID{number: p.Parent.Number, ours: p.Parent.Yours}
	switch {
	case t.seen.has(id.number):
		t.answer(id, t.finals.answer(id))
		return nil, 0, nil
	case p.Offset != 0, p.Received != 0:
		return nil, 0, violation(t.peer, "a stream that nobody has seen goes on")
	case parent.ours && parent.number > t.next, parent == id:
		return nil, 0, violation(t.peer, "a child of a stream that was never opened")
	}
	t.seen.add(id.number, seenWindow*t.limit)
	if len(t.open)-t.ours >= t.limit {
		t.finals.add(final{id: id, stop: said(resetLimit)})
		c := t.finals.answer(id)
		c.Reset_ = said(resetLimit)
		t.answer(id, c)
		delete(t.early, id.number)
		t.bereave(id)
		return nil, 0, nil
	}
	f = &flow{t: t, id: id, head: p, priority: priorityStream}
	f.out.limit = t.buffer
	if p.Kind == wire.StreamBlock {
		f.out.over = true
		t.register(f)
		return f, 0, nil
	}
	f.owner = &Stream{flow: f}
	if parent.number != 0 {
		refusal = t.adopt(f, parent)
	}
	t.register(f)
	for _, kid := range t.orphans[id] {
		kid.parent = f
		f.family.add(kid)
		if code := f.family.offer(kid.owner); code != 0 {
			t.spawn(func() { t.welcome(kid, code) })
		}
	}
	t.waifs -= len(t.orphans[id])
	delete(t.orphans, id)
	return f, refusal, nil
}

// adopt gives a new stream its parent. t.mu is held.
func (t *streams) adopt(f *flow, parent streamID) (refusal resetCode) {
	of := t.open[parent]
	switch {
	case of != nil && of.owner != nil && !of.family.closed:
		f.parent = of
		return of.family.offer(f.owner)
	case of != nil, parent.ours, t.seen.has(parent.number):
		return resetParent
	case t.waifs >= maxOrphans:
		return resetRefused
	}
	if t.orphans == nil {
		t.orphans = make(map[streamID][]*flow)
	}
	t.orphans[parent] = append(t.orphans[parent], f)
	t.waifs++
	return 0
}

// bereave refuses the children that wait for a parent that does not come. t.mu is held.
func (t *streams) bereave(parent streamID) {
	for _, f := range t.orphans[parent] {
		t.spawn(func() { t.welcome(f, resetParent) })
	}
	t.waifs -= len(t.orphans[parent])
	delete(t.orphans, parent)
}

// welcome hands a new stream of the peer's to whom it is for, or refuses it.
func (t *streams) welcome(f *flow, refusal resetCode) {
	switch {
	case refusal != 0:
	case f.owner == nil:
		t.spawn(func() { t.receiveLarge(f) })
	case f.head.Parent.Number != 0: // it is with its parent
	case f.head.Service != "":
		if !t.env.service(f.owner) {
			refusal = resetNotFound
		}
	case !t.env.incoming(f.owner):
		refusal = resetRefused
	}
	if refusal != 0 {
		f.giveUp(refusal)
	}
}

// detach takes every stream off a connection that is lost or left.
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
