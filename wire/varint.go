package wire

import (
	"errors"
	"io"
)

// varint reads a varint in its shortest form from the start of b. It returns how
// many bytes it took: 0 if b ends first, less than 0 if no further byte can make
// it right.
func varint(b []byte) (v uint64, n int) {
	for i, c := range b {
		if c < 0x80 {
			if c == 0 && i > 0 || i == 9 && c > 1 {
				return 0, -1
			}
			return v | uint64(c)<<(7*i), i + 1
		}
		if i == 9 {
			return 0, -1
		}
		v |= uint64(c&0x7f) << (7 * i)
	}
	return 0, 0
}

// ReadUvarint reads one varint in its shortest form, such as precedes each block
// on a lane. A value above limit is a [*SyntaxError] with the reason [TooLarge].
// The error is [io.EOF] if r ends before the first byte, and
// [io.ErrUnexpectedEOF] if it ends within; other errors of r pass unchanged.
func ReadUvarint(r io.ByteReader, limit uint64) (uint64, error) {
	var buf [10]byte
	for i := range buf {
		c, err := r.ReadByte()
		if err != nil {
			if i > 0 {
				err = unexpectedEOF(err)
			}
			return 0, err
		}
		buf[i] = c
		if c >= 0x80 && i < len(buf)-1 {
			continue
		}
		v, n := varint(buf[:i+1])
		switch {
		case n < 0:
			return 0, &SyntaxError{Offset: -1, Reason: BadVarint}
		case v > limit:
			return 0, &SyntaxError{Offset: -1, Reason: TooLarge}
		}
		return v, nil
	}
	panic("unreachable") // the last round returns
}

// unexpectedEOF turns the end of a reader into an end in the wrong place.
func unexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
