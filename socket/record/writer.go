package record

import (
	"encoding/binary"
	"errors"
	"io"
)

// smallChunk is the largest chunk that is copied behind its head so that one call
// writes both. Above, a second call costs less than the copy. A Writer keeps no
// more memory than this.
const smallChunk = 16 << 10

// Misuse of a Writer. Nothing has been written.
var (
	ErrUnfinished = errors.New("record: the record begun before is not closed")
	ErrClosed     = errors.New("record: write to a record that is closed")
)

// Writer writes records. It must not be used concurrently.
type Writer struct {
	w    io.Writer
	buf  []byte // scratch, up to smallChunk and a head
	open *pieces
	err  error // why the stream is of no use any more
}

// NewWriter returns a writer of records to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// WriteRecord writes one record; p may be empty and is not kept.
//
// An error is w's, or [ErrUnfinished]. If w has taken part of the record before
// it failed, every later call fails with the same error: nothing that follows
// could be understood. Otherwise the call may be repeated.
func (w *Writer) WriteRecord(p []byte) error {
	if err := w.ready(); err != nil {
		return err
	}
	_, err := w.writeChunk(p, 0)
	return err
}

// Begin begins a record of unknown size. Each Write to it sends its bytes at
// once, as a chunk of their own, which costs one byte for up to 63 and two for up
// to 8,191: a source of many small pieces is better wrapped in a bufio.Writer.
// Close ends the record, and until then the Writer takes no other.
//
// Errors are those of [Writer.WriteRecord], and [ErrClosed] for a Write after
// Close. A Close that failed may be repeated; one that succeeded does nothing
// when repeated.
func (w *Writer) Begin() (io.WriteCloser, error) {
	if err := w.ready(); err != nil {
		return nil, err
	}
	w.open = &pieces{w: w}
	return w.open, nil
}

// ready says why no record can be begun.
func (w *Writer) ready() error {
	if w.err == nil && w.open != nil {
		return ErrUnfinished
	}
	return w.err
}

// more is the bit of a head that says that the record goes on.
const more = 1

// writeChunk writes one chunk and returns how many bytes of p have gone out.
func (w *Writer) writeChunk(p []byte, flag uint64) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.buf = binary.AppendUvarint(w.buf[:0], uint64(len(p))<<1|flag)
	head := len(w.buf)
	rest := p
	if len(p) <= smallChunk {
		w.buf = append(w.buf, p...)
		rest = nil
	}
	n, err := write(w.w, w.buf)
	if err == nil && len(rest) > 0 {
		var body int
		body, err = write(w.w, rest)
		n += body
	}
	if err != nil && n > 0 {
		w.err = err
	}
	return max(0, n-head), err
}

// write holds w to io.Writer's contract.
func write(w io.Writer, p []byte) (int, error) {
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// pieces is a record that is written piece by piece.
type pieces struct {
	w      *Writer
	closed bool
}

func (r *pieces) Write(p []byte) (int, error) {
	if r.closed {
		return 0, ErrClosed
	}
	if len(p) == 0 {
		return 0, r.w.err
	}
	return r.w.writeChunk(p, more)
}

func (r *pieces) Close() error {
	if r.closed {
		return nil
	}
	if _, err := r.w.writeChunk(nil, 0); err != nil {
		return err
	}
	r.closed = true
	r.w.open = nil
	return nil
}
