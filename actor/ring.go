package actor

// ringKeep is the most slots an empty ring holds on to, so that one burst is
// not paid for ever.
const ringKeep = 1024

// ring is a growable FIFO of tasks. Its zero value is empty.
type ring struct {
	buf  []task // length is zero or a power of two
	head int
	n    int
}

func (r *ring) push(t task) {
	if r.n == len(r.buf) {
		buf := make([]task, max(64, 2*len(r.buf)))
		k := copy(buf, r.buf[r.head:])
		copy(buf[k:], r.buf[:r.head])
		r.buf, r.head = buf, 0
	}
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = t
	r.n++
}

// pop takes the oldest task; the ring must not be empty.
func (r *ring) pop() task {
	t := r.buf[r.head]
	r.buf[r.head] = nil
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	if r.n == 0 && len(r.buf) > ringKeep {
		*r = ring{}
	}
	return t
}
