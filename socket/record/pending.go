package record

// Pending returns how many complete records have been read ahead, and how many
// bytes they have, heads not counted: so much can be read without blocking. The
// record that Next has returned, or whose reading was interrupted, is not among
// them. Pending reads nothing itself: 0 does not mean that nothing has arrived,
// and records larger than [Limits.Buffer] are never seen. It takes time in
// proportion to what is buffered.
func (r *Reader) Pending() (records, bytes int) {
	b, err := r.br.Peek(r.br.Buffered())
	if err != nil {
		return 0, 0
	}
	ok := true
	if r.state != between {
		b, _, ok = r.skim(b, r.left, r.more)
	}
	for ok {
		var size int
		if b, size, ok = r.skim(b, 0, true); ok {
			records++
			bytes += size
		}
	}
	return records, bytes
}

// skim finds the end in b of a record that has left bytes of a chunk to come, and
// then further chunks or not. It returns what follows and how many bytes of the
// record it passed; ok is false if b ends first, or is malformed.
func (r *Reader) skim(b []byte, left uint64, goesOn bool) (rest []byte, size int, ok bool) {
	for {
		if left > uint64(len(b)) {
			return nil, 0, false
		}
		b = b[left:]
		size += int(left)
		if !goesOn {
			return b, size, true
		}
		n := headLen(b)
		if n == 0 {
			return nil, 0, false
		}
		var err error
		if left, goesOn, err = parseHead(&r.head, b[:n]); err != nil {
			return nil, 0, false
		}
		b = b[n:]
	}
}
