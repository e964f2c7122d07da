package wire

import (
	"errors"
	"strconv"
)

// ErrTruncated reports bytes that end before they are complete. Every strict
// beginning of a valid encoding is either valid itself or gives this error.
var ErrTruncated = errors.New("wire: truncated")

// Reason says what rule of the protocol some received bytes break.
type Reason uint8

// The reasons of a [SyntaxError].
const (
	BadVarint      Reason = iota + 1 // longer than its shortest form, or over 64 bits
	BadOrder                         // a field out of order, twice, or beside one that excludes it
	UnknownField                     // a field number that this version does not define
	BadWireType                      // a known field in the encoding of another kind
	ZeroField                        // a zero, where the field is to be absent or more
	TooLarge                         // a number above the largest the field may hold
	UnknownFlag                      // a flag bit that this version does not define
	BadLength                        // a field of fixed length with another one
	BadTrace                         // a trace context without a trace id or a span id
	MissingField                     // a field without another that it needs
	UnexpectedData                   // a payload without a type, or bytes after the end
	TooLong                          // a length above its limit
	UnknownKind                      // a kind of frame or stream that this version does not define
	BadMessage                       // not protobuf, or a text that is not UTF-8
)

var reasons = [...]string{
	BadVarint: "overlong varint", BadOrder: "field out of order or repeated",
	UnknownField: "unknown field", BadWireType: "wrong wire type", ZeroField: "zero is not allowed",
	TooLarge: "number too large", UnknownFlag: "unknown flag", BadLength: "wrong length", BadTrace: "trace context without ids",
	MissingField: "required field missing", UnexpectedData: "unexpected data", TooLong: "too long",
	UnknownKind: "unknown kind", BadMessage: "not a valid message",
}

// String returns the reason in words.
func (r Reason) String() string {
	if int(r) < len(reasons) && reasons[r] != "" {
		return reasons[r]
	}
	return "Reason(" + strconv.Itoa(int(r)) + ")"
}

// A SyntaxError reports received bytes that break the protocol, whatever might
// follow them: the peer, not this program, is at fault.
type SyntaxError struct {
	Offset int    // where the faulty field begins in the block; -1 if it was read from a stream
	Reason Reason // what is wrong
	Field  string // which field, by its protobuf name; empty when none is meant
}

// Error describes the fault in one line, without any of the peer's bytes.
func (e *SyntaxError) Error() string {
	s := "wire: malformed"
	if e.Offset >= 0 {
		s += " at byte " + strconv.Itoa(e.Offset)
	}
	if e.Field != "" {
		s += ": " + e.Field
	}
	return s + ": " + e.Reason.String()
}

// A ValueError reports a value that this program tried to send and that has no
// place on the wire. Nothing has been written.
type ValueError struct {
	Field  string // which field, by its protobuf name; empty when none is meant
	Reason Reason // what is wrong
}

// Error describes the fault in one line.
func (e *ValueError) Error() string {
	if e.Field == "" {
		return "wire: cannot encode: " + e.Reason.String()
	}
	return "wire: cannot encode " + e.Field + ": " + e.Reason.String()
}
