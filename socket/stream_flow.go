package socket

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"parley/internal/pace"
	"parley/wire"
)

// flow is one numbered stream of a session, a byte stream or a large block, whichever connection carries
// it. Its directions end separately; it leaves the session's table when we need nothing of either.
//
// Locks are taken in this order: streams.mu, flow.mu. None is held during a carrier's input or output.
type flow struct {
	t      *streams
	id     streamID
	head   wire.Preamble // what its opener says of it, without the positions
	owner  *Stream       // nil for a block
	parent *flow         // nil if it is nobody's child
	family family        // its children; t.mu guards it

	reading, writing sync.Mutex  // one reader, one writer at a time
	dirty            atomic.Bool // there is something to say, and it is in t.dirty

	mu              sync.Mutex
	at              *attachment // where it runs; nil if nowhere
	in              inHalf
	out             outHalf
	readBy, writeBy deadline
	priority        priority
	pace            *pace.Limiter // its own limit; nil if it has none
	paid            int           // bytes that the limits have let pass and that no carrier was given
	lost            int           // carriers lost without progress
	lag             lag
	taken           bool               // the application has it
	heard           bool               // the peer has spoken of it
	hearing         signal             // heard has changed, or the flow has ended
	abandon         context.CancelFunc // ends the receiving of a block; may be nil
	left            bool               // it is not in the table any more
}

// attachment is a carrier stream on which a flow runs. The flow's lock guards it.
type attachment struct {
	link   *link
	st     stream // nil while it is being opened
	cancel context.CancelFunc

	pos                 uint64 // position of the next byte that st gives
	sent                uint64 // position of the next byte to write to st
	pumping             bool   // a goroutine writes
	fin                 bool   // the end was written
	readOver, writeOver bool   // the carrier has failed or ended in that direction
	parked              bool   // we leave it for another on the same connection

	unpace context.CancelFunc // ends the waiting for a limit; nil if it never waited
}

// release frees the carrier. A direction that has ended in order is not affected.
func (a *attachment) release(code resetCode) {
	if a == nil {
		return
	}
	if a.cancel != nil {
		a.cancel()
	}
	if a.unpace != nil {
		a.unpace()
	}
	if a.st != nil {
		a.st.cancelRead(code)
		a.st.cancelWrite(code)
	}
}

// maxLost is how many carriers a stream may lose one after the other, on a connection that lives and without
// any progress, before it waits for another connection: a peer that breaks them off does not make us open
// more for ever.
const maxLost = 16

// moved reports whether the peer has taken the stream to another connection, or thinks it has.
func moved(err error) bool {
	theirs, ok := errors.AsType[*PeerError](err)
	return ok && theirs.moved
}

// failed handles the failure of one direction of a carrier. Unless the peer has left the carrier altogether,
// the other direction goes on, and why this one ended comes on the control stream. f.mu is held.
func (f *flow) failed(a *attachment, err error) {
	if f.at != a || !moved(err) {
		return
	}
	f.at = nil
	f.trim()
	f.in.changed.fire()
	f.t.spawn(func() {
		a.release(resetMoved)
		f.again()
	})
}

// again opens another carrier on the connection that the stream belongs to, if it is ours to open.
func (f *flow) again() {
	f.mu.Lock()
	f.lost++
	enough := !f.id.ours || f.lost > maxLost
	f.mu.Unlock()
	if enough {
		return
	}
	if n := f.t.linkFor(f.id.number); n != nil {
		f.connect(n)
	}
}

// connect opens a carrier on n, unless the stream is there.
func (f *flow) connect(n *link) {
	f.mu.Lock()
	old := f.at
	if f.left || old != nil && old.link == n && !old.parked {
		f.mu.Unlock()
		return
	}
	ctx, cancel := context.WithCancel(f.t.life)
	defer cancel()
	a := &attachment{link: n, cancel: cancel, pos: f.in.received, sent: f.out.acked}
	f.at = a
	p := f.head
	p.Offset, p.Received = a.sent, a.pos
	if p.Kind == wire.StreamBlock {
		p.Received = 0
	}
	urgency := f.priority
	f.mu.Unlock()
	old.release(resetMoved)

	head, err := p.Append(nil)
	var st stream
	if err == nil {
		st, err = f.t.env.openOn(ctx, n, head, urgency)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil && f.at == a:
		f.at = nil
		f.trim()
	case err != nil:
	case f.at != a:
		f.t.spawn(func() { (&attachment{st: st}).release(resetMoved) })
	default:
		if f.priority != urgency {
			st.setPriority(f.priority)
		}
		f.join(a, st)
	}
}

// accept puts the flow on a carrier that the peer has opened. It returns what it was on before, or, if the
// carrier is of no use, the carrier itself. f.mu is held.
func (f *flow) accept(n *link, st stream, p wire.Preamble) (leave *attachment, err error) {
	a := &attachment{link: n, st: st, pos: p.Offset, sent: p.Received}
	switch {
	case p.Offset > f.in.received:
		return a, violation(f.t.peer, "a stream goes on after what was received of it")
	case p.Received > f.out.high:
		return a, violation(f.t.peer, "more was received of a stream than was sent")
	case p.Received < f.out.acked && p.Kind == wire.StreamBytes:
		return a, nil // it was opened before another that has come first
	}
	leave, f.at = f.at, a
	f.acknowledge(p.Received)
	f.join(a, st)
	return leave, nil
}

// join lets data flow on a carrier. f.mu is held.
func (f *flow) join(a *attachment, st stream) {
	a.st = st
	if f.in.done {
		a.readOver = true
		st.cancelRead(resetCanceled)
	} else if !f.readBy.at.IsZero() {
		_ = st.setReadDeadline(f.readBy.at)
	}
	switch {
	case f.out.reset != 0:
		a.writeOver = true
		st.cancelWrite(resetCanceled)
	case f.out.over: // a reset could keep even the preamble from arriving, and there is something to read
		a.writeOver = true
		f.t.spawn(func() { _ = st.closeWrite() })
	}
	f.startPump()
	f.in.changed.fire()
}

// leave takes the flow off the carrier it has on n. f.mu is held; the caller releases what is returned.
func (f *flow) leave(n *link) *attachment {
	a := f.at
	if a == nil || a.link != n {
		return nil
	}
	f.at = nil
	f.trim()
	f.in.changed.fire()
	return a
}

// abort ends both directions with a code and drops what was not acknowledged. It reports
// whether there is something to say; the caller marks and releases. f.mu is held.
func (f *flow) abort(code resetCode) bool {
	news := f.stopReading(code)
	o := &f.out
	if o.err == nil {
		o.err = f.t.closed("write")
	}
	if !o.over && o.reset == 0 {
		o.reset = said(code)
		news = true
	}
	f.drop()
	f.hearing.fire()
	return news
}

// giveUp is abort and everything that follows from it.
func (f *flow) giveUp(code resetCode) {
	f.mu.Lock()
	news := f.abort(code)
	f.mu.Unlock()
	f.t.ended(f, news)
}

// free cancels the carrier in the directions that are over. f.mu is not held.
func (f *flow) free() {
	f.mu.Lock()
	a := f.at
	var st stream
	read, write := false, false
	if a != nil && a.st != nil {
		st = a.st
		read = f.in.done && !a.readOver
		write = (f.out.over || f.out.reset != 0) && !a.writeOver
		a.readOver = a.readOver || read
		a.writeOver = a.writeOver || write
		if write && a.unpace != nil {
			a.unpace()
		}
	}
	f.mu.Unlock()
	if read {
		st.cancelRead(resetCanceled)
	}
	if write {
		st.cancelWrite(resetCanceled)
	}
}

// end ends the flow with the session.
func (f *flow) end() *attachment {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.at
	f.at, f.left = nil, true
	if f.in.err == nil {
		f.in.err = f.t.env.fail("read")
	}
	if f.out.err == nil || f.out.finished && !f.out.over {
		f.out.err = f.t.env.fail("write")
	}
	f.out.over = true
	f.settleAll()
	f.wake()
	return a
}

// wake lets everybody look again. f.mu is held.
func (f *flow) wake() {
	f.in.changed.fire()
	f.out.changed.fire()
	f.hearing.fire()
	if f.abandon != nil {
		f.abandon()
	}
}

// counted takes in what the peer says of the flow. It reports whether the peer waits for an answer. f.mu is
// held.
func (f *flow) heed(c *wire.StreamCount) (answer bool, err error) {
	o := &f.out
	if c.GetCount() > o.high {
		return false, violation(f.t.peer, "more was received of a stream than was sent")
	}
	whole := o.finished && (c.GetCount() == o.end || o.acked == o.end)
	if c.GetDone() && !whole && c.GetStop() == 0 && o.reset == 0 && !o.over {
		return false, violation(f.t.peer, "a stream is done with before its end")
	}
	f.heard = true
	f.hearing.fire()
	f.acknowledge(c.GetCount())
	if code := c.GetStop(); code != 0 && !o.over {
		o.refusal = f.t.refused("write", code-1)
		if o.err == nil {
			o.err = o.refusal
		}
		f.settleAll()
	}
	if c.GetStop() != 0 || c.GetDone() {
		o.over = true
		f.settleAll()
		o.changed.fire()
	}
	if code := c.GetReset_(); code != 0 && !f.in.done {
		f.in.err = f.t.refused("read", code-1)
		f.in.done = true
		answer = true
		f.wake()
	}
	return answer, nil
}

// complete reports whether nothing of the flow is needed any more. f.mu is held.
func (f *flow) complete() bool { return f.out.over && f.in.done && f.in.said }
