package socket

import (
	"errors"
	"io"
	"time"

	"parley/wire"
)

// inHalf is the peer's direction of a stream. The flow's lock guards it.
type inHalf struct {
	received uint64 // so many bytes were handed up
	err      error  // what Read returns from now on
	done     bool   // nothing more is needed
	said     bool   // and the peer was told so, at least once
	stop     uint32 // 1 + the code with which we have given up reading; 0 if not

	changed signal // a carrier, or an end
}

var errShortStream = errors.New("a stream ends before what was received of it")

// read hands up bytes straight from the carrier, whichever it is at the time.
func (f *flow) read(p []byte) (int, error) {
	f.reading.Lock()
	defer f.reading.Unlock()
	for {
		a, by, err := f.readable()
		if err != nil || len(p) == 0 {
			return 0, err
		}
		n, err := a.st.Read(p)
		n, err = f.took(a, by, p[:n], err)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// readable waits for a carrier to read from. It also returns the deadline that the carrier has.
func (f *flow) readable() (*attachment, time.Time, error) {
	for {
		f.mu.Lock()
		switch a := f.at; {
		case f.in.err != nil:
			defer f.mu.Unlock()
			return nil, time.Time{}, f.in.err
		case f.readBy.expired():
			f.mu.Unlock()
			return nil, time.Time{}, f.t.timeout("read")
		case a != nil && a.st != nil && !a.readOver:
			defer f.mu.Unlock()
			return a, f.readBy.at, nil
		}
		changed, expired := f.in.changed.wait(), f.readBy.wait()
		f.mu.Unlock()
		select {
		case <-changed:
		case <-expired:
		}
	}
}

// took judges what a carrier gave: it moves what is new to the front of p and says how much that is. With
// neither bytes nor an error there is more to wait for.
func (f *flow) took(a *attachment, by time.Time, p []byte, err error) (int, error) {
	f.mu.Lock()
	// What an earlier carrier gives once there is another is dropped: the other begins at what was received
	// when the stream moved there, and the peer may count on that.
	if f.at != a || f.in.err != nil {
		f.mu.Unlock()
		return 0, nil //nolint:nilerr // how an abandoned carrier fails is of no interest
	}
	old := int(min(f.in.received-a.pos, uint64(len(p)))) // seen already, on an earlier carrier
	fresh := copy(p, p[old:])
	a.pos += uint64(len(p))
	f.in.received += uint64(fresh)
	if fresh > 0 {
		f.lost = 0
	}
	ended, short := false, false
	switch {
	case err == nil:
	case isTimeout(err) && (f.readBy.expired() || !f.readBy.at.Equal(by)):
		// The deadline, or one that has been replaced. Any other timeout is the connection's death.
	case errors.Is(err, io.EOF):
		a.readOver = true
		if short = a.pos != f.in.received; !short {
			f.in.err = io.EOF
			ended = f.owner != nil // a block is done with when it has been handed up: receiveLarge says so
			f.in.done = f.in.done || ended
		}
	default:
		a.readOver = true
		f.failed(a, err)
	}
	end := f.in.err
	f.mu.Unlock()
	switch {
	case short:
		f.t.env.broken(violation(f.t.peer, errShortStream.Error()))
	case ended:
		f.t.mark(f)
		f.t.env.ackNow()
	}
	if fresh > 0 {
		f.t.mark(f)
		f.t.env.ackSoon(fresh)
		return fresh, nil
	}
	return 0, end
}

// setReadDeadline applies to a read that is blocked as well, here or in the carrier.
func (f *flow) setReadDeadline(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readBy.set(t)
	if a := f.at; a != nil && a.st != nil && !a.readOver {
		_ = a.st.setReadDeadline(t)
	}
	f.in.changed.fire()
}

// stopReading gives up the peer's direction. It reports whether that is news, and then the carrier is to be
// released. f.mu is held.
func (f *flow) stopReading(code resetCode) bool {
	if f.in.err == nil {
		f.in.err = f.t.closed("read")
		f.in.changed.fire()
	}
	if f.in.done {
		return false
	}
	f.in.done, f.in.stop = true, said(code)
	return true
}

// said is how a StreamCount has a reset code.
func said(code resetCode) uint32 { return uint32(min(uint64(code), maxSaid)) + 1 }

// maxSaid is the highest code that a StreamCount has room for.
const maxSaid = 1<<32 - 2

// entry is what the peer is to know of the stream; nil if there is nothing yet. f.mu is held.
func (f *flow) entry() *wire.StreamCount {
	if !f.id.ours && !f.taken && f.in.received == 0 && !f.in.done && f.out.reset == 0 {
		return nil
	}
	return &wire.StreamCount{
		Stream: f.id.number, Yours: !f.id.ours,
		Count: f.in.received, Done: f.in.done, Reset_: f.out.reset, Stop: f.in.stop,
	}
}
