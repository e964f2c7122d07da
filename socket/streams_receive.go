package socket

import "parley/wire"

// seenWindow is how many of a peer's stream numbers below the highest are told apart, in units of the limit
// on open streams: out of order come at most those that are open.
const seenWindow = 4

// maxOrphans is how many children may wait for their parents to come; further ones are refused.
const maxOrphans = 128

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
		refusal = t.env.service(f.owner)
	case !t.env.incoming(f.owner):
		refusal = resetRefused
	}
	if refusal != 0 {
		f.giveUp(refusal)
	}
}
