package socket

import "time"

// How far a byte stream may run ahead of its reader (R22, threat T14). A carrier stream of QUIC has a window of its own, but
// all that runs on a connection, lanes and control included, shares the connection's: what a few streams have in flight
// that nobody reads would leave the others, and the lanes, nothing. The sender sees to it that it does not, since it
// knows from acknowledgements what the peer's application has read, and keeps everything else.
const (
	// firstAhead is how many bytes a stream may have in flight or unread before the peer has read any: the eighth
	// that reads nothing leaves the others half of connectionWindow.
	firstAhead = 128 << 10
	// aheadGrowth is by how many bytes that grows for each that is read: a stream whose reader keeps up is ahead of
	// QUIC's slow start, which grows by one.
	aheadGrowth = 2
	// maxUnread is what the streams of a session that are not read share, and minAhead what is left for each at
	// least: that many times as many as a peer may open by default are half a connectionWindow.
	maxUnread = 512 << 10
	minAhead  = 512
	// parkAfter is how long nothing may have been read of a stream before what it has unread beyond its share is
	// taken back; at least so many round trips.
	parkAfter, parkRounds = 2 * time.Second, 4
	// parkExcess is how many times its share a stream must have unread for that. What is taken back is sent again
	// later: with aheadGrowth, at most 4 bytes for each that was read in between.
	parkExcess = 2
)

// share is the allowance with which a stream begins, in bytes: firstAhead, but less while many are not read.
func (t *streams) share() uint64 {
	unread := t.unread.Load()
	return uint64(min(firstAhead, max(minAhead, maxUnread/max(unread, 1)))) //nolint:gosec // positive
}

// ahead is how many bytes may be given to a now. A block is read at once or not at all. f.mu is held.
func (f *flow) ahead(a *attachment) uint64 {
	o := &f.out
	if f.owner == nil {
		return o.end - a.sent
	}
	limit := o.acked + f.t.share() + aheadGrowth*(o.acked-o.ramp)
	if limit <= a.sent {
		return 0
	}
	return min(limit, o.end) - a.sent
}

// mayPump reports whether there is something to do for a carrier and it is allowed. f.mu is held.
func (f *flow) mayPump(a *attachment) bool {
	return f.out.wants(a) && (a.sent == f.out.end || f.ahead(a) > 0)
}

// tick looks for streams that are not read, and takes back what they have in flight beyond their share. The session
// calls it many times a second while bytes wait to be acknowledged. patience is how long a connection may bring no
// acknowledgement, 0 if it is silent.
func (t *streams) tick(now time.Time, patience func(n *link) time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	unread, share := int64(0), t.share()
	for _, f := range t.open {
		f.mu.Lock()
		if f.stands(now, patience) {
			unread++
			if a := f.at; !a.writeOver && a.sent > f.out.acked+parkExcess*share {
				f.park(a)
			}
		}
		f.mu.Unlock()
	}
	t.unread.Store(unread)
}

// stands reports whether bytes wait on a connection that works, and nothing was read for too long. f.mu is held.
func (f *flow) stands(now time.Time, patience func(n *link) time.Duration) bool {
	if f.owner == nil || f.at == nil || f.out.over || f.out.reset != 0 || f.out.end == f.out.acked {
		f.still = time.Time{}
		return false
	}
	after := patience(f.at.link)
	switch {
	case after == 0:
		f.still = time.Time{}
	case f.still.IsZero():
		f.still = now
	default:
		return now.Sub(f.still) >= after
	}
	return false
}

// park takes back what a carrier was given and the peer has not read: resetting it returns the connection's
// credit. Nothing is lost, since all of it is still kept. If the stream is ours it goes on at once, with a share of it
// on another carrier for the reader that comes later. If it is the peer's, only the peer can open that, and does when
// its next Read finds the reset; until then the carrier goes on bringing us what the peer writes. f.mu is held.
func (f *flow) park(a *attachment) {
	f.out.ramp = f.out.acked
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
