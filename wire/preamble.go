package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"unicode/utf8"
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

	// Length is the length of a block in bytes: 1 to MaxPayload. The receiver's
	// own limit may be lower.
	Length uint64

	// Stream is the session's number, from 1, of a block's stream or a byte stream
	// among those that the same side opens. It stays the same when the stream goes
	// on in a later connection.
	Stream uint64

	// Offset is how many bytes of the stream precede the first one after the
	// preamble.
	Offset uint64

	// Received is how many bytes of the other direction of a byte stream the
	// opener has: where the other side begins.
	Received uint64

	// Parent is the stream that a byte stream is a child of; zero if of none.
	Parent StreamRef

	// Service and Protocol say whom a byte stream is for, if not for whoever
	// accepts streams: up to MaxServiceName bytes of UTF-8 each, both or neither.
	Service, Protocol string
}

// StreamRef names a stream of a session from one side.
type StreamRef struct {
	Number uint64 // from 1; 0 names none; at most MaxStreamNumber
	Yours  bool   // the reader of this opened it, not the writer
}

// Lengths in bytes of the longest preamble of a byte stream, the longest of all,
// and of its parts.
const (
	// MaxServiceName is the length in bytes of the longest name of a service or a
	// protocol.
	MaxServiceName = 128

	// MaxPreamble is the length in bytes of the longest preamble.
	MaxPreamble = 1 + 9 + 3*10 + 2*(2+MaxServiceName)
)

// MaxStreamNumber is the highest number of a stream: with a bit for its side it
// still fits in 64.
const MaxStreamNumber = math.MaxUint64 >> 1

// check returns what keeps p from being sent.
func (p Preamble) check() (field string, reason Reason) {
	lanes := p.Kind == StreamLane || p.Kind == StreamBlock
	numbered := p.Kind == StreamBlock || p.Kind == StreamBytes
	switch {
	case p.Kind < StreamControl || p.Kind > StreamBytes:
		return "kind", UnknownKind
	case p.Lane >= MaxLanes:
		return "lane", TooLarge
	case !lanes && (p.Lane != 0 || p.Number != 0):
		return "lane", UnexpectedData
	case p.Kind != StreamBlock && p.Length != 0:
		return "length", UnexpectedData
	case p.Kind == StreamBlock && p.Length == 0:
		return "length", ZeroField
	case p.Length > MaxPayload:
		return "length", TooLong
	case !numbered && (p.Stream != 0 || p.Offset != 0):
		return "stream", UnexpectedData
	case numbered && p.Stream == 0:
		return "stream", ZeroField
	case p.Stream > MaxStreamNumber:
		return "stream", TooLarge
	case p.Kind == StreamBlock && p.Offset > p.Length:
		return "offset", TooLarge
	case p.Kind != StreamBytes && (p.Received != 0 || p.Parent != StreamRef{} || p.Service != "" || p.Protocol != ""):
		return "received", UnexpectedData
	case p.Parent.Number > MaxStreamNumber, p.Parent.Yours && p.Parent.Number == 0:
		return "parent", TooLarge
	case (p.Service == "") != (p.Protocol == ""):
		return "protocol", MissingField
	}
	if reason := checkText(p.Service, MaxServiceName); reason != 0 {
		return "service", reason
	}
	return "protocol", checkText(p.Protocol, MaxServiceName)
}

// Append appends the encoded preamble to b. The error is a [*ValueError], and
// then b is returned as it was.
func (p Preamble) Append(b []byte) ([]byte, error) {
	if field, reason := p.check(); reason != 0 {
		return b, &ValueError{field, reason}
	}
	b = append(b, byte(p.Kind))
	if p.Kind == StreamLane || p.Kind == StreamBlock {
		b = binary.AppendUvarint(binary.AppendUvarint(b, p.Lane), p.Number)
	}
	if p.Kind == StreamBlock {
		b = binary.AppendUvarint(b, p.Length)
	}
	if p.Kind == StreamBlock || p.Kind == StreamBytes {
		b = binary.AppendUvarint(binary.AppendUvarint(b, p.Stream), p.Offset)
	}
	if p.Kind == StreamBytes {
		b = binary.AppendUvarint(binary.AppendUvarint(b, p.Received), p.Parent.varint())
		b = appendText(b, p.Service)
		if p.Service != "" {
			b = appendText(b, p.Protocol)
		}
	}
	return b, nil
}

func (r StreamRef) varint() uint64 {
	v := r.Number << 1
	if r.Yours {
		v |= 1
	}
	return v
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
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
	f := fieldReader{r: r}
	switch p.Kind {
	case StreamControl:
	case StreamLane:
		f.lane(&p)
	case StreamBlock:
		f.lane(&p)
		p.Length = f.uvarint("length", MaxPayload)
		f.stream(&p)
	case StreamBytes:
		f.stream(&p)
		p.Received = f.uvarint("received", math.MaxUint64)
		parent := f.uvarint("parent", math.MaxUint64)
		p.Parent = StreamRef{Number: parent >> 1, Yours: parent&1 != 0}
		if p.Service = f.text("service"); p.Service != "" {
			p.Protocol = f.text("protocol")
		}
	default:
		return Preamble{}, &SyntaxError{Offset: -1, Reason: UnknownKind}
	}
	if f.err != nil {
		return Preamble{}, f.err
	}
	if field, reason := p.check(); reason != 0 {
		return Preamble{}, &SyntaxError{Offset: -1, Field: field, Reason: reason}
	}
	return p, nil
}

// fieldReader reads the fields of a preamble up to the first error.
type fieldReader struct {
	r   io.ByteReader
	err error
}

func (f *fieldReader) lane(p *Preamble) {
	p.Lane = f.uvarint("lane", MaxLanes-1)
	p.Number = f.uvarint("number", math.MaxUint64)
}

func (f *fieldReader) stream(p *Preamble) {
	p.Stream = f.uvarint("stream", MaxStreamNumber)
	p.Offset = f.uvarint("offset", math.MaxUint64)
}

func (f *fieldReader) uvarint(name string, limit uint64) uint64 {
	if f.err != nil {
		return 0
	}
	v, err := ReadUvarint(f.r, limit)
	if err != nil {
		f.err = inField(name, err)
	}
	return v
}

func (f *fieldReader) text(name string) string {
	size := f.uvarint(name, MaxServiceName)
	var b []byte
	for f.err == nil && uint64(len(b)) < size {
		c, err := f.r.ReadByte()
		if err != nil {
			f.err = unexpectedEOF(err)
			break
		}
		b = append(b, c)
	}
	if f.err == nil && !utf8.Valid(b) {
		f.err = &SyntaxError{Offset: -1, Field: name, Reason: BadMessage}
	}
	return string(b)
}

// inField adds to the error of a read where it happened.
func inField(name string, err error) error {
	if syntax, ok := errors.AsType[*SyntaxError](err); ok {
		syntax.Field = name
		return syntax
	}
	return unexpectedEOF(err)
}
