package record

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"parley/wire"
)

// Defaults of [Limits], in bytes.
const (
	DefaultRecord = 1 << 20
	DefaultBuffer = 4 << 10
)

const (
	maxHead = 10      // bytes of a varint of 64 bits
	step    = 4 << 10 // ReadRecord makes room for so many bytes that have yet to come, or as many as came already
)

// Limits bounds what a [Reader] takes and holds. The zero Limits are the defaults.
type Limits struct {
	// Record is the size of the largest record that ReadRecord returns, in bytes.
	// 0 means DefaultRecord, negative no bound but memory's. Next has none.
	Record int
	// Buffer is how many bytes are read ahead, and so the memory that an idle
	// Reader holds and the most that Pending can find. 0 or negative means
	// DefaultBuffer; 16 is the least.
	Buffer int
}

// TooLargeError reports a record above [Limits.Record]. The peer that sent it has
// broken no rule of the protocol.
type TooLargeError struct {
	Limit int // bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("record: larger than %d bytes", e.Limit)
}

// TooLarge reports true, as such errors of all packages do.
func (e *TooLargeError) TooLarge() bool { return true }

// errStale is what the reader of a record returns when the Reader has gone on.
var errStale = errors.New("record: read of a record after a later one was asked for")

// Reader reads records. It must not be used concurrently.
//
// At the end of the stream between two records the error is [io.EOF], within one
// [io.ErrUnexpectedEOF]. Bytes that break the protocol give a [*wire.SyntaxError],
// for ever, since the next record cannot be found any more. Other errors are
// those of the stream. After one that passes, such as a deadline's, reading may go
// on: nothing has been lost.
type Reader struct {
	br    *bufio.Reader
	limit int
	head  bytes.Reader // scratch

	// The record that has been begun and not been read to its end.
	state state
	left  uint64 // bytes of its current chunk
	more  bool   // another chunk follows
	got   int    // what ReadRecord has read of it, bytes

	records uint64 // counts the records begun
}

// state says to whom the current record belongs.
type state uint8

const (
	between   state = iota // there is no current record
	whole                  // ReadRecord was interrupted by an error of the stream
	piecewise              // Next has returned its reader
	unwanted               // it is skipped
)

// NewReader returns a reader of records from r, which it reads ahead of.
func NewReader(r io.Reader, limits Limits) *Reader {
	if limits.Record == 0 {
		limits.Record = DefaultRecord
	}
	if limits.Record < 0 {
		limits.Record = math.MaxInt
	}
	if limits.Buffer <= 0 {
		limits.Buffer = DefaultBuffer
	}
	return &Reader{br: bufio.NewReaderSize(r, limits.Buffer), limit: limits.Record}
}

// ReadRecord appends the next record to buf and returns the extended slice. It
// reserves memory only as bytes arrive.
//
// A record above [Limits.Record] is a [*TooLargeError], as soon as that is known:
// the next call skips what is left of it. Together with an error of the stream
// the part that has arrived is returned; a call with that slice goes on from
// there. With any other error buf is returned as it was. What [Reader.Next] has
// left of its record is skipped.
func (r *Reader) ReadRecord(buf []byte) ([]byte, error) {
	if r.state != whole {
		if err := r.begin(whole); err != nil {
			return buf, err
		}
	}
	for {
		if r.left > uint64(r.limit-r.got) {
			return r.giveUp(buf), &TooLargeError{Limit: r.limit}
		}
		for r.left > 0 {
			var n int
			var err error
			buf, n, err = r.extend(buf)
			r.got += n
			if err != nil {
				return buf, err
			}
		}
		last, err := r.nextChunk()
		if syntax := (*wire.SyntaxError)(nil); errors.As(err, &syntax) {
			return r.giveUp(buf), err
		}
		if err != nil || last {
			return buf, err
		}
	}
}

// giveUp returns buf without the current record, which is not read any further.
func (r *Reader) giveUp(buf []byte) []byte {
	r.state = unwanted
	return buf[:max(0, len(buf)-r.got)]
}

// extend reads once, into room that is made behind buf.
func (r *Reader) extend(buf []byte) ([]byte, int, error) {
	room := int(min(r.left, uint64(max(step, r.got, cap(buf)-len(buf)))))
	if cap(buf)-len(buf) < room {
		grown := make([]byte, len(buf), len(buf)+room)
		copy(grown, buf)
		buf = grown
	}
	n, err := r.read(buf[len(buf) : len(buf)+room])
	return buf[:len(buf)+n], n, err
}

// Next returns a reader of the next record, of whatever size, that ends with
// io.EOF at the record's end. It is valid until the next call of Next or
// ReadRecord, which skips what has not been read.
func (r *Reader) Next() (io.Reader, error) {
	if err := r.begin(piecewise); err != nil {
		return nil, err
	}
	return &recordReader{r: r, record: r.records}, nil
}

// begin skips what is left of the current record, and reads the first head of the
// next.
func (r *Reader) begin(s state) error {
	if r.state != between {
		r.state = unwanted
	}
	for r.state != between {
		for r.left > 0 {
			n, err := r.br.Discard(int(min(r.left, 1<<30)))
			r.left -= uint64(n)
			if err != nil {
				return within(err)
			}
		}
		if _, err := r.nextChunk(); err != nil {
			return err
		}
	}
	if err := r.readHead(); err != nil {
		return err
	}
	r.state, r.got = s, 0
	r.records++
	return nil
}

// nextChunk goes on to the next chunk of the current record when one is over, or
// reports that it was the last.
func (r *Reader) nextChunk() (last bool, err error) {
	if !r.more {
		r.state = between
		return true, nil
	}
	return false, within(r.readHead())
}

// readHead reads a head. If it fails, nothing is consumed: what was cut short can
// be read again, and what was malformed is so again.
func (r *Reader) readHead() error {
	for seen := 1; ; seen++ {
		b, err := r.br.Peek(seen)
		if err != nil {
			if seen > 1 {
				err = within(err)
			}
			return err
		}
		n := headLen(b)
		if n == 0 {
			continue
		}
		left, goesOn, err := parseHead(&r.head, b)
		if err != nil {
			return err
		}
		r.left, r.more = left, goesOn
		_, err = r.br.Discard(n)
		return err
	}
}

// headLen is the length of the head that b begins with, 0 if b ends before it.
func headLen(b []byte) int {
	for i, c := range b[:min(len(b), maxHead)] {
		if c < 0x80 || i == maxHead-1 {
			return i + 1
		}
	}
	return 0
}

// parseHead reads a complete head from b by way of scratch.
func parseHead(scratch *bytes.Reader, b []byte) (length uint64, goesOn bool, err error) {
	scratch.Reset(b)
	v, err := wire.ReadUvarint(scratch, math.MaxInt64)
	if err == nil && v == more {
		err = &wire.SyntaxError{Offset: -1, Reason: wire.ZeroField, Field: "record chunk"}
	}
	return v >> 1, v&more != 0, err
}

// read reads bytes of the current chunk.
func (r *Reader) read(p []byte) (int, error) {
	n, err := r.br.Read(p[:min(uint64(len(p)), r.left)])
	r.left -= uint64(n)
	return n, within(err)
}

// within turns the end of the stream into one in the wrong place.
func within(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// recordReader reads one record.
type recordReader struct {
	r      *Reader
	record uint64
	over   bool
}

func (x *recordReader) Read(p []byte) (int, error) {
	switch {
	case x.over:
		return 0, io.EOF
	case x.r.records != x.record || x.r.state != piecewise:
		return 0, errStale
	case len(p) == 0:
		return 0, nil
	}
	for x.r.left == 0 {
		last, err := x.r.nextChunk()
		if err != nil {
			return 0, err
		}
		if last {
			x.over = true
			return 0, io.EOF
		}
	}
	return x.r.read(p)
}
