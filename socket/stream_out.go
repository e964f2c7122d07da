package socket

import (
	"sort"
	"sync"
)

// maxSegment is how many bytes one segment of a write buffer holds at most, and with it how much is written
// to a carrier at a time.
const maxSegment = 32 << 10

// minSegment is the size of the smallest one: a stream that says a few words costs little.
const minSegment = 256

// largeWrite is how much of a large block, which is one segment, is written to a carrier at a time.
const largeWrite = 64 << 10

var segmentBuffers = sync.Pool{New: func() any { return new([maxSegment]byte) }}

// segment is a part of what was written. Bytes in it never change; only the last segment grows.
type segment struct {
	start   uint64 // position of the first byte
	buf     []byte
	pins    int  // carriers that are reading buf
	dropped bool // no longer needed, except by those
	foreign bool // buf belongs to the caller of Send
}

func (s *segment) end() uint64 { return s.start + uint64(len(s.buf)) }

// recycle gives the buffer back when nobody can be reading it.
func (s *segment) recycle() {
	if s.dropped && s.pins == 0 && !s.foreign && cap(s.buf) == maxSegment {
		segmentBuffers.Put((*[maxSegment]byte)(s.buf[:maxSegment]))
		s.buf = nil
	}
}

// outHalf is our direction of a stream: the bytes that were written and that the peer's application is not
// known to have. The flow's lock guards it.
type outHalf struct {
	segments []*segment
	acked    uint64 // the peer's application has so many
	fresh    bool   // bytes were given to a carrier, and none has been read
	ramp     uint64 // from here on what is acknowledged lets the stream run further ahead
	high     uint64 // so many were ever given to a carrier: the peer cannot have more
	end      uint64 // so many were written
	counted  uint64 // up to here the bytes no longer count as unacknowledged in the session
	limit    int    // bytes that may be kept; 0 for a block, which is not copied

	finished bool   // no more is written: end is final
	ending   bool   // and that counts as one unacknowledged byte of the session's
	reset    uint32 // 1 + the code with which we have given up; 0 if not
	over     bool   // the peer needs nothing more
	err      error  // what Write returns from now on
	refusal  error  // what the peer stopped reading with

	changed signal // room, progress, or an end
}

// wants reports whether there is something left to do for a carrier that has the bytes up to sent.
func (o *outHalf) wants(a *attachment) bool {
	return o.reset == 0 && !o.over && !a.writeOver && (a.sent < o.end || o.finished && !a.fin)
}

// append copies p, which must fit.
func (o *outHalf) append(p []byte) {
	for len(p) > 0 {
		var last *segment
		if n := len(o.segments); n > 0 {
			last = o.segments[n-1]
		}
		if last == nil || last.foreign || len(last.buf) == cap(last.buf) {
			size := max(len(p), minSegment)
			if last != nil {
				size = max(size, 2*cap(last.buf)) // a writer of many small pieces soon has large segments
			}
			s := &segment{start: o.end}
			if size > maxSegment/2 {
				s.buf = segmentBuffers.Get().(*[maxSegment]byte)[:0]
			} else {
				s.buf = make([]byte, 0, size)
			}
			o.segments = append(o.segments, s)
			last = s
		}
		n := min(len(p), cap(last.buf)-len(last.buf))
		last.buf = append(last.buf, p[:n]...)
		o.end += uint64(n)
		p = p[n:]
	}
}

// pin returns the bytes to write next to a carrier that has those up to position, at most so many, and keeps them.
func (o *outHalf) pin(position uint64, most int) (*segment, []byte) {
	i := sort.Search(len(o.segments), func(i int) bool { return o.segments[i].end() > position })
	s := o.segments[i]
	s.pins++
	b := s.buf[position-s.start:]
	b = b[:min(len(b), most)]
	o.high = max(o.high, position+uint64(len(b)))
	return s, b
}

func (o *outHalf) unpin(s *segment) {
	s.pins--
	s.recycle()
	if s.foreign && s.pins == 0 {
		o.changed.fire()
	}
}

// trim drops what precedes position.
func (o *outHalf) trim(position uint64) {
	n := 0
	for n < len(o.segments) && o.segments[n].end() <= position {
		o.segments[n].dropped = true
		o.segments[n].recycle()
		o.segments[n] = nil
		n++
	}
	if n == len(o.segments) {
		o.segments = nil
	} else {
		o.segments = o.segments[n:]
	}
}

// kept is a copy of what is not acknowledged, if it is still there, and its position.
func (o *outHalf) kept() (b []byte, start uint64) {
	for _, s := range o.segments {
		if s.end() > o.acked {
			from := max(o.acked, s.start) - s.start
			b = append(b, s.buf[from:]...)
		}
	}
	return b, o.acked
}

// base is the position from which bytes are kept: those that the peer's application lacks, and those that
// the carrier has yet to be given, though an acknowledgement from an earlier connection has overtaken it.
func (f *flow) base() uint64 {
	if a := f.at; a != nil && f.out.wants(a) {
		return min(f.out.acked, a.sent)
	}
	return f.out.acked
}

// trim drops the bytes that nobody needs and wakes whoever waits for room. f.mu is held.
func (f *flow) trim() {
	f.out.trim(f.base())
	f.out.changed.fire()
}

// drop forgets everything unacknowledged. f.mu is held.
func (f *flow) drop() {
	f.settleAll()
	f.out.trim(f.out.end)
	f.out.changed.fire()
}

// settle takes the bytes up to position out of what the session waits for, and with the last of them the end.
// f.mu is held.
func (f *flow) settle(position uint64) {
	if o := &f.out; position > o.counted {
		n := int64(position - o.counted)
		f.t.settle(n)
		o.counted = position
		if f.owner != nil {
			f.t.replay.release(n)
		}
	}
}

// settleAll is settle for everything, the end included.
func (f *flow) settleAll() {
	f.wasRead()
	f.settle(f.out.end)
	if f.out.ending {
		f.out.ending = false
		f.t.settle(1)
	}
}

// acknowledge notes that the peer's application has count bytes. f.mu is held.
func (f *flow) acknowledge(count uint64) {
	if count > f.out.acked {
		f.out.acked = count
		f.lost = 0
		f.wasRead()
		f.settle(count)
		f.trim()
		f.startPump()
	}
}

// room is how many bytes a Write may keep. f.mu is held.
func (f *flow) room() int { return f.out.limit - int(f.out.end-f.base()) }

func (f *flow) write(p []byte) (int, error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	n := 0
	for {
		f.mu.Lock()
		switch {
		case f.out.err != nil:
			defer f.mu.Unlock()
			return n, f.out.err
		case f.writeBy.expired():
			f.mu.Unlock()
			return n, f.t.timeout("write")
		case n == len(p):
			f.mu.Unlock()
			return n, nil
		}
		room := f.room()
		if room <= 0 {
			changed, expired := f.out.changed.wait(), f.writeBy.wait()
			f.mu.Unlock()
			select {
			case <-changed:
			case <-expired:
			}
			continue
		}
		k := min(room, len(p)-n, maxSegment)
		if !f.t.replay.reserve(int64(k)) {
			expired := f.writeBy.wait()
			f.mu.Unlock()
			f.t.env.awaitReplay(expired)
			continue
		}
		f.out.append(p[n : n+k])
		n += k
		first := f.t.unsettled(int64(k))
		f.startPump()
		f.mu.Unlock()
		if first {
			f.t.env.pending()
		}
		if n == len(p) {
			return n, nil
		}
	}
}

// finish ends our direction after what was written.
func (f *flow) finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.out.err != nil {
		return
	}
	f.out.err = f.t.closed("write")
	f.out.finished, f.out.ending = true, true
	first := f.t.unsettled(1)
	f.out.changed.fire()
	f.startPump()
	if first {
		f.t.spawn(f.t.env.pending) // not with the lock held
	}
}

// startPump has the unsent bytes written to the carrier. f.mu is held.
func (f *flow) startPump() {
	a := f.at
	if a == nil || a.st == nil || a.pumping || !f.mayPump(a) {
		return
	}
	a.pumping = f.t.spawn(func() { f.pump(a) })
}

// pump writes to a carrier until there is nothing left to write, or the reader is too far behind, or the stream has
// left it.
func (f *flow) pump(a *attachment) {
	f.mu.Lock()
	for f.at == a && f.mayPump(a) {
		var err error
		if a.sent < f.out.end {
			f.begun()
			most := f.allowed(a)
			if most < 0 {
				break
			}
			if most == 0 {
				continue
			}
			s, b := f.out.pin(a.sent, int(min(uint64(most), f.ahead(a))))
			f.mu.Unlock()
			_, err = a.st.Write(b)
			f.mu.Lock()
			f.out.unpin(s)
			if err == nil {
				f.paid = max(0, f.paid-len(b))
				a.sent += uint64(len(b))
				if a.sent <= f.out.acked { // it was waited for no longer, but for this carrier
					f.trim()
				}
			}
		} else {
			a.fin = true
			f.mu.Unlock()
			err = a.st.closeWrite()
			f.mu.Lock()
		}
		if err != nil {
			a.writeOver = true
			f.failed(a, err)
		}
	}
	a.pumping = false
	f.mu.Unlock()
}
