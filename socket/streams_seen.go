package socket

import "parley/wire"

// seen knows which of the peer's streams have come. Numbers come out of order, because their carriers do; a
// number far below the highest counts as seen.
type seen struct {
	high uint64
	bits []uint64 // a ring, one bit for each of the last numbers
}

// add notes a number; window, the same each time, is how many numbers below the highest are told apart.
func (s *seen) add(number uint64, window int) {
	if s.bits == nil {
		s.bits = make([]uint64, (window+63)/64)
	}
	size := uint64(len(s.bits)) * 64
	if number > s.high {
		if number-s.high >= size {
			clear(s.bits)
		} else {
			for i := s.high + 1; i < number; i++ {
				s.bits[i%size/64] &^= 1 << (i % 64)
			}
		}
		s.high = number
	} else if s.high-number >= size {
		return
	}
	s.bits[number%size/64] |= 1 << (number % 64)
}

func (s *seen) has(number uint64) bool {
	size := uint64(len(s.bits)) * 64
	switch {
	case number > s.high:
		return false
	case s.high-number >= size:
		return true
	}
	return s.bits[number%size/64]&(1<<(number%64)) != 0
}

// maxFinals is how many completed streams are remembered with how they ended.
const maxFinals = 256

// final is how a completed stream ended, for a peer that has not heard.
type final struct {
	id    streamID
	count uint64
	stop  uint32
}

// finals remembers the latest.
type finals struct {
	ring []final
	next int
}

func (r *finals) add(f final) {
	if len(r.ring) < maxFinals {
		r.ring = append(r.ring, f)
		return
	}
	r.ring[r.next] = f
	r.next = (r.next + 1) % maxFinals
}

// answer is what to say of a stream that is complete here. Of one that is forgotten nobody can say whether
// all of it was read: then it says that it was not.
func (r *finals) answer(id streamID) *wire.StreamCount {
	c := &wire.StreamCount{Stream: id.number, Yours: !id.ours, Done: true, Reset_: said(resetGone), Stop: said(resetCanceled)}
	for i := range r.ring {
		if f := &r.ring[i]; f.id == id {
			c.Count, c.Stop = f.count, f.stop
			break
		}
	}
	return c
}
