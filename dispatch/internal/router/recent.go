package router

// recent remembers numbers that were in use: as many as it has slots, each until
// another with the same low bits takes its slot. As numbers rise by one for each
// message, that is about the last so many messages. It never claims a number that
// was not added. Zero is no number.
type recent struct {
	slots []uint64 // their number is a power of two, and grows up to most
	most  int
}

// firstSlots is how many slots a session starts with that has just a few messages.
const firstSlots = 32

func (r *recent) add(id uint64) {
	if r.slots == nil {
		r.slots = make([]uint64, min(firstSlots, r.most))
	}
	for len(r.slots) < r.most {
		if old := r.slots[r.slot(id)]; old == 0 || old == id {
			break
		}
		small := r.slots
		r.slots = make([]uint64, 2*len(small))
		for _, old := range small {
			if old != 0 {
				r.slots[r.slot(old)] = old
			}
		}
	}
	r.slots[r.slot(id)] = id
}

func (r *recent) has(id uint64) bool {
	return r.slots != nil && r.slots[r.slot(id)] == id
}

func (r *recent) slot(id uint64) uint64 { return id & uint64(len(r.slots)-1) }
