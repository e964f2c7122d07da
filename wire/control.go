package wire

import (
	"bufio"
	"encoding/binary"
	"io"

	"google.golang.org/protobuf/proto"

	"parley/schema/parleyv1"
)

// The frames of the control stream; their fields are described in
// schema/parley/v1/control.proto.
type (
	Control   = parleyv1.Control
	Hello     = parleyv1.Hello
	Accept    = parleyv1.Accept
	Ack       = parleyv1.Ack
	Close     = parleyv1.Close
	Closed    = parleyv1.Closed
	Ping      = parleyv1.Ping
	Pong      = parleyv1.Pong
	LaneCount = parleyv1.LaneCount
)

// Wrappers for the kinds of frame: a Control's Kind holds a pointer to one.
type (
	ControlHello  = parleyv1.Control_Hello
	ControlAccept = parleyv1.Control_Accept
	ControlAck    = parleyv1.Control_Ack
	ControlClose  = parleyv1.Control_Close
	ControlClosed = parleyv1.Control_Closed
	ControlPing   = parleyv1.Control_Ping
	ControlPong   = parleyv1.Control_Pong
)

// Version is the version of the protocol that this package speaks.
const Version = 1

// AppendControl checks m as [ReadControl] does and appends it to b, preceded by
// its length. The error is a [*ValueError], and then b is returned as it was.
func AppendControl(b []byte, m *Control) ([]byte, error) {
	if field, reason := checkControl(m); reason != 0 {
		return b, &ValueError{Field: field, Reason: reason}
	}
	size := proto.Size(m)
	if size > MaxControlFrame {
		return b, &ValueError{Reason: TooLong}
	}
	out, err := proto.MarshalOptions{Deterministic: true, UseCachedSize: true}.MarshalAppend(binary.AppendUvarint(b, uint64(size)), m)
	if err != nil { // a text that is not UTF-8; checkControl refuses those of this version
		return b, &ValueError{Reason: BadMessage}
	}
	return out, nil
}

// ReadControl reads one frame from a control stream. It never holds more than
// [MaxControlFrame] bytes, and returns only frames whose fields are within their
// limits, so its caller need check nothing but what depends on the session:
//
//   - Hello and Accept: a version, an incarnation (in Accept both) and a block
//     limit that are not zero, 1 to [MaxLanes] lanes, a proof of [ProofSize]
//     bytes or none, at most [MaxCapabilities] capabilities in ascending order,
//     an agent of at most [MaxAgent] bytes; received counts only when resuming.
//   - Ack: at least one count. Close: a message of at most [MaxCloseMessage] bytes.
//   - Ping and Pong: times of at most 63 bits.
//   - Wherever lanes are counted: each at most once, below [MaxLanes].
//
// Fields that this version does not know are dropped.
//
// The error is a [*SyntaxError] if the peer is at fault, [io.EOF] if r ends
// between two frames, [io.ErrUnexpectedEOF] if it ends within one, or r's own.
func ReadControl(r *bufio.Reader) (*Control, error) {
	size, err := ReadUvarint(r, MaxControlFrame)
	if err != nil {
		return nil, err
	}
	frame := make([]byte, size) // at most MaxControlFrame
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, unexpectedEOF(err)
	}
	m := new(Control)
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(frame, m); err != nil {
		return nil, &SyntaxError{Offset: -1, Reason: BadMessage}
	}
	if field, reason := checkControl(m); reason != 0 {
		return nil, &SyntaxError{Offset: -1, Field: field, Reason: reason}
	}
	return m, nil
}
