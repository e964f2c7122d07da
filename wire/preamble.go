package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
)

// StreamKind says what a stream of a connection is for. It is the stream's first
// byte.
type StreamKind uint8

// The kinds of stream.
const (
	StreamControl StreamKind = 1 // control frames; the first stream of a connection
	StreamLane    StreamKind = 2 // blocks up to MaxLaneBlock, each preceded by its length
	StreamBlock   StreamKind = 3 // one larger block
	StreamBytes   StreamKind = 4 // a byte stream of the application
)

// Preamble is what every stream of a connection begins with. Fields that the
// kind does not use are zero.
type Preamble struct {
	Kind StreamKind
	Lane uint64 // for a lane and a block: its lane, 0 to MaxLanes-1

	// Number is how many blocks of the lane precede, in this session: it is the
	// number of the first block on a lane's stream, counted from 0. The block that
	// a block's stream carries is handed up after as many, and has no number itself.
	Number uint64

	// Length is the length of a block's stream in bytes, after the preamble: 1
	// to MaxPayload. The receiver's own limit may be lower.
	Length uint64
}

// MaxPreamble is the length in bytes of the longest preamble.
const MaxPreamble = 1 + 1 + 10 + 5

// Append appends the encoded preamble to b. The error is a [*ValueError], and
// then b is returned as it was.
func (p Preamble) Append(b []byte) ([]byte, error) {
	switch {
	case p.Kind < StreamControl || p.Kind > StreamBytes:
		return b, &ValueError{"kind", UnknownKind}
	case p.Lane >= MaxLanes:
		return b, &ValueError{"lane", TooLarge}
	case p.Kind != StreamLane && p.Kind != StreamBlock && (p.Lane != 0 || p.Number != 0):
		return b, &ValueError{"lane", UnexpectedData}
	case p.Kind != StreamBlock && p.Length != 0:
		return b, &ValueError{"length", UnexpectedData}
	case p.Kind == StreamBlock && p.Length == 0:
		return b, &ValueError{"length", ZeroField}
	case p.Length > MaxPayload:
		return b, &ValueError{"length", TooLong}
	}
	b = append(b, byte(p.Kind))
	if p.Kind == StreamLane || p.Kind == StreamBlock {
		b = binary.AppendUvarint(binary.AppendUvarint(b, p.Lane), p.Number)
	}
	if p.Kind == StreamBlock {
		b = binary.AppendUvarint(b, p.Length)
	}
	return b, nil
}

// ReadPreamble reads the preamble of a stream, and no byte beyond it. The error
// is a [*SyntaxError], [io.EOF] if r ends before the first byte,
// [io.ErrUnexpectedEOF] if it ends within, or r's own.
func ReadPreamble(r io.ByteReader) (Preamble, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return Preamble{}, err
	}
	p := Preamble{Kind: StreamKind(kind)}
	switch p.Kind {
	case StreamControl, StreamBytes:
		return p, nil
	case StreamLane, StreamBlock:
	default:
		return Preamble{}, &SyntaxError{Offset: -1, Reason: UnknownKind}
	}
	if p.Lane, err = ReadUvarint(r, MaxLanes-1); err != nil {
		return Preamble{}, inField("lane", err)
	}
	if p.Number, err = ReadUvarint(r, math.MaxUint64); err != nil {
		return Preamble{}, inField("number", err)
	}
	if p.Kind == StreamBlock {
		if p.Length, err = ReadUvarint(r, MaxPayload); err == nil && p.Length == 0 {
			err = &SyntaxError{Offset: -1, Reason: ZeroField}
		}
		if err != nil {
			return Preamble{}, inField("length", err)
		}
	}
	return p, nil
}

// inField adds to the error of a read where it happened.
func inField(name string, err error) error {
	if syntax, ok := errors.AsType[*SyntaxError](err); ok {
		syntax.Field = name
		return syntax
	}
	return unexpectedEOF(err)
}
