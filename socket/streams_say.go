package socket

import "parley/wire"

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

// resay has everything said again: a connection was lost, and what was said on it last may be as well. It is
// called when nothing that collect has returned is still to be said on that connection.
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
