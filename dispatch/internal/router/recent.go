package router

// recent remembers numbers that were in use: as many as it has slots, each until
// another with the same low bits takes its slot. As numbers rise by one for each
// message, that is about the last so many messages. It never claims a number that
// was not added.
type recent struct {
	slots []uint64
	size  int // a power of two
}

func (r *recent) add(id uint64) {
	if r.slots == nil {
		r.slots = make([]uint64, r.size)
	}
	r.slots[id&uint64(r.size-1)] = id
}

func (r *recent) has(id uint64) bool {
	return r.slots != nil && r.slots[id&uint64(r.size-1)] == id
}
