package socket

import "time"

// How far a byte stream may run ahead of its reader (R22, threat T14). A carrier stream of QUIC has a window of its
// own, but all that runs on a connection, lanes and control included, shares the connection's: what a few streams have
// in flight that nobody reads, or that are read slowly, would leave the others nothing. The sender sees to it that it
// does not, since it knows from acknowledgements what the peer's application has read, and keeps everything else.
const (
	// firstAhead is how many bytes a stream may have in flight or unread before the peer has read any: of 8 streams
	// that is half of connectionWindow.
	firstAhead = 128 << 10
	// aheadGrowth is by how many bytes that grows for each that is read. QUIC's slow start grows by one; with one here,
	// whose acknowledgements come up to ackDelay later, 1 MiB takes 15 % longer, and with two 1 %.
	aheadGrowth = 2
	// maxUnread is what the streams of a session that are read late, or not yet, have as their shares together. Those
	// of which nothing has been read get less one after the other: 64 at once have 4.7 times as much, and that is half
	// of connectionWindow.
	// minAhead is the least share: of the 1,024 streams that a peer may open by default, a quarter of connectionWindow.
	maxUnread = 256 << 10
	minAhead  = 512
	// lateAfter is after how long bytes ought to have been read; after at least so many round trips. A stream that
	// is late may run ahead by its share and by what is read in half that time, which keeps its reader busy.
	lateAfter, lateRounds = 250 * time.Millisecond, 4
	// parkAfter is for how long a stream must be late until what it has unread is taken back, if that is more than
	// parkExcess of its shares and what is read in this time.
	parkAfter  = 2 * time.Second
	parkExcess = 2
	// againAfter is after how long without a byte read a stream of ours is opened anew, once: when two connections merge
	// and packets overtake each other, the peer may have taken the older of two carriers for the newer.
	againAfter = 10 * time.Second
)

// lag is what tick knows of the reader of a stream. The flow's lock guards it.
type lag struct {
	on          *attachment // where the following was seen; nil if it was not
	at          time.Time   // when
	acked, sent uint64      // what was acknowledged and given to the carrier by then
	late        time.Time   // since when the reader has been behind; zero if it is not
	rate        uint64      // bytes beyond its share that a late stream may run ahead
	again       bool        // the stream was opened anew since bytes were last read
}

// share is the allowance with which a stream begins, in bytes: firstAhead, but less while many are late or have not
// been read at all.
func (t *streams) share() uint64 {
	return uint64(min(firstAhead, max(minAhead, maxUnread/max(t.late.Load(), t.fresh.Load(), 1))))
}

// begun notes that a stream gives its first bytes to a carrier, and wasRead that its reader has read some or that it is
// over. f.mu is held.
func (f *flow) begun() {
	if o := &f.out; f.owner != nil && !o.fresh && o.acked == 0 && !o.over {
		o.fresh = true
		f.t.fresh.Add(1)
	}
}

func (f *flow) wasRead() {
	if f.out.fresh {
		f.out.fresh = false
		f.t.fresh.Add(-1)
	}
}

// ahead is how many bytes may be given to a now. A block is read at once or not at all. f.mu is held.
func (f *flow) ahead(a *attachment) uint64 {
	o := &f.out
	if f.owner == nil {
		return o.end - a.sent
	}
	limit := o.acked + f.t.share()
	if f.lag.late.IsZero() {
		limit += aheadGrowth * (o.acked - o.ramp)
	} else {
		limit += f.lag.rate
	}
	if limit <= a.sent {
		return 0
	}
	return min(limit, o.end) - a.sent
}

// mayPump reports whether there is something to do for a carrier and it is allowed. f.mu is held.
func (f *flow) mayPump(a *attachment) bool {
	return f.out.wants(a) && (a.sent == f.out.end || f.ahead(a) > 0)
}

// tick looks for streams that are read late, or not at all, and has them leave the connection to the others. The
// session calls it many times a second while bytes wait to be acknowledged. trip is the round trip of a connection, 0
// if that is silent itself.
func (t *streams) tick(now time.Time, trip func(n *link) time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	late := int64(0)
	for _, f := range t.open {
		f.mu.Lock()
		f.judge(now, trip)
		if !f.lag.late.IsZero() {
			late++
		}
		f.mu.Unlock()
	}
	t.late.Store(late)
}

// judge finds out whether the reader of a stream is behind. f.mu is held.
func (f *flow) judge(now time.Time, trip func(n *link) time.Duration) {
	a, o, g := f.at, &f.out, &f.lag
	if f.owner == nil || a == nil || o.over || o.reset != 0 || o.end == o.acked {
		*g = lag{}
		return
	}
	if a.st == nil || a.writeOver || a.sent <= o.acked { // nothing that could be read
		g.on = nil
		return
	}
	if g.on == a && now.Sub(g.at) < lateAfter {
		return
	}
	d := trip(a.link)
	if d == 0 {
		*g = lag{}
		return
	}
	if d = max(lateAfter, lateRounds*d); g.on == a {
		if now.Sub(g.at) < d {
			return
		}
		f.restrain(a, now, d)
	}
	g.on, g.at, g.acked, g.sent = a, now, o.acked, a.sent
}

// restrain bounds how far a stream runs ahead if it is late, of which d is the measure. f.mu is held.
func (f *flow) restrain(a *attachment, now time.Time, d time.Duration) {
	o, g := &f.out, &f.lag
	if o.acked >= g.sent {
		g.late, g.again = time.Time{}, false
		return
	}
	if g.late.IsZero() {
		g.late = now
	}
	if o.acked != g.acked {
		g.again = false
	} else if f.id.ours && !g.again && now.Sub(g.late) >= againAfter {
		g.again = true
		f.park(a)
		return
	}
	read := o.acked - g.acked
	o.ramp, g.rate = o.acked, read/2
	most := parkExcess*f.t.share() + read*uint64(max(1, parkAfter/d))
	if now.Sub(g.late) >= parkAfter && a.sent > o.acked+most {
		f.park(a)
	}
}

// park takes back what a carrier was given and the peer has not read: resetting it returns the connection's
// credit. Nothing is lost, since all of it is still kept, and what was taken back is not much more than what was read
// since the last time. If the stream is ours it goes on at once, with a share of it on another carrier for the reader
// that comes later. If it is the peer's, only the peer can open that, and does when its next Read finds the reset; until
// then the carrier goes on bringing us what the peer writes. f.mu is held.
func (f *flow) park(a *attachment) {
	a.writeOver, a.parked = true, f.id.ours
	f.trim()
	f.t.spawn(func() {
		if !a.parked {
			a.st.cancelWrite(resetMoved)
		} else if n := f.t.linkFor(f.id.number); n != nil { // else it moves when there is one
			f.connect(n)
		}
	})
}
