package wire

import (
	"bufio"
	"encoding/binary"
	"io"

	"google.golang.org/protobuf/proto"

	"parley/schema/parleyv1"
)

// The frames of the control stream. Their fields, with units and bounds, are
// described in schema/parley/v1/control.proto.
type (
	// Control is one frame, of the kind that its field Kind holds.
	Control = parleyv1.Control
	// Hello is the dialler's first frame.
	Hello = parleyv1.Hello
	// Accept is the listener's answer to Hello.
	Accept = parleyv1.Accept
	// Ack says what has arrived.
	Ack = parleyv1.Ack
	// Close begins the end of a session.
	Close = parleyv1.Close
	// Closed answers Close.
	Closed = parleyv1.Closed
	// Ping asks for a Pong.
	Ping = parleyv1.Ping
	// Pong answers a Ping.
	Pong = parleyv1.Pong
	// Outdated answers a Hello whose incarnation is not the latest.
	Outdated = parleyv1.Outdated
	// StreamCount is how far one stream has come.
	StreamCount = parleyv1.StreamCount
	// LaneCount counts the blocks of one lane since the session began.
	LaneCount = parleyv1.LaneCount
)

// What a Control's Kind holds: a pointer to one of these.
type (
	// ControlHello makes a Hello a kind of frame.
	ControlHello = parleyv1.Control_Hello
	// ControlAccept makes an Accept a kind of frame.
	ControlAccept = parleyv1.Control_Accept
	// ControlAck makes an Ack a kind of frame.
	ControlAck = parleyv1.Control_Ack
	// ControlClose makes a Close a kind of frame.
	ControlClose = parleyv1.Control_Close
	// ControlClosed makes a Closed a kind of frame.
	ControlClosed = parleyv1.Control_Closed
	// ControlPing makes a Ping a kind of frame.
	ControlPing = parleyv1.Control_Ping
	// ControlPong makes a Pong a kind of frame.
	ControlPong = parleyv1.Control_Pong
	// ControlOutdated makes an Outdated a kind of frame.
	ControlOutdated = parleyv1.Control_Outdated
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
