package wire

import "time"

// Flags qualify a message. They are or-ed; other bits than these are refused.
type Flags uint32

// The flags of version 1.
const (
	FlagMore       Flags = 1 << iota // more replies to the same message follow
	FlagLast                         // the sender's last message of this exchange or conversation
	FlagError                        // the payload is a parley.v1.Status
	FlagBestEffort                   // may be lost: the sender did not ask for delivery
	FlagOneWay                       // no reply is wanted
	FlagBegin                        // begins a conversation, where a request would be without it

	knownFlags = FlagMore | FlagLast | FlagError | FlagBestEffort | FlagOneWay | FlagBegin
)

// RegardsKind says what RegardsID in a [Header] names.
type RegardsKind uint8

// The kinds of regard.
const (
	RegardsNone     RegardsKind = iota // the message belongs to no conversation
	RegardsSender                      // a conversation begun by a message of this block's sender
	RegardsReceiver                    // a conversation begun by a message of this block's receiver
	RegardsService                     // a service, by its well-known number
)

// Trace is a W3C trace context. Its zero value says that there is none; any
// other has both ids, neither of them all zero.
type Trace struct {
	TraceID [16]byte
	SpanID  [8]byte
	Flags   byte // W3C trace-flags, passed on as they are
}

const traceSize = 16 + 8 + 1

// IsValid reports whether t has a trace id and a span id.
func (t Trace) IsValid() bool { return t.TraceID != [16]byte{} && t.SpanID != [8]byte{} }

// Header is the head of a block (D1): everything but the payload. In each field
// zero means absent.
//
// A message with an ID and neither InReplyTo nor Regards is a request, or begins
// a conversation. A block that ends what message N began has Regards naming N and
// FlagLast; if the end is not a good one, also FlagError and a Status. A block
// with Type 0 has no payload and needs Regards and Credit.
type Header struct {
	Type      Type        // of the payload; 0 none
	Regards   RegardsKind // what RegardsID names
	Flags     Flags
	ID        uint64 // the sender's sequence number of this message, from 1; 0 none
	InReplyTo uint64 // sequence number of a message of the receiver's
	RegardsID uint64 // set exactly when Regards is; a service number has 32 bits

	// Timeout is how long after SendTime the sender loses interest. On the wire
	// it counts microseconds, rounded up, at most 2^63 ns.
	Timeout time.Duration

	// SendTime is when the sender sent, by its clock, in microseconds since the
	// Unix epoch, not negative (B12).
	SendTime int64

	// Credit is how many payload bytes the receiver may have sent in the
	// conversation since its beginning: absolute, so that repeating one or
	// losing an older one does no harm.
	Credit uint64

	// ReplyIncarnation is the receiver's incarnation that InReplyTo counts in,
	// and RegardsIncarnation that of the conversation's beginner which RegardsID
	// counts in. Both are set only when another than the session's is meant.
	ReplyIncarnation   uint64
	RegardsIncarnation uint64

	Trace Trace
}

// maxMicros is the longest Timeout in microseconds that a time.Duration holds.
const maxMicros = uint64((1<<63 - 1) / time.Microsecond)

// micros returns d in microseconds, rounded up so that a short timeout does not
// become none.
func micros(d time.Duration) uint64 {
	us := uint64(d / time.Microsecond)
	if d%time.Microsecond != 0 {
		us++
	}
	return min(us, maxMicros)
}

// Protobuf tags of parley.v1.Envelope's fields: number<<3 | wire type.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5

	tagType               = 1<<3 | wireFixed32
	tagID                 = 2<<3 | wireVarint
	tagInReplyTo          = 3<<3 | wireVarint
	tagRegardsSender      = 4<<3 | wireVarint
	tagRegardsReceiver    = 5<<3 | wireVarint
	tagService            = 6<<3 | wireVarint
	tagFlags              = 7<<3 | wireVarint
	tagTimeout            = 8<<3 | wireVarint
	tagSendTime           = 9<<3 | wireVarint
	tagCredit             = 10<<3 | wireVarint
	tagTrace              = 11<<3 | wireBytes
	tagReplyIncarnation   = 12<<3 | wireFixed64
	tagRegardsIncarnation = 13<<3 | wireFixed64
	tagPayload            = 15<<3 | wireBytes
)

// envelopeFields holds the name and the tag of every field of version 1, by its
// number; for diagnosis only.
var envelopeFields = [16]struct {
	name string
	tag  byte
}{
	1:  {"type", tagType},
	2:  {"id", tagID},
	3:  {"in_reply_to", tagInReplyTo},
	4:  {"regards_sender", tagRegardsSender},
	5:  {"regards_receiver", tagRegardsReceiver},
	6:  {"service", tagService},
	7:  {"flags", tagFlags},
	8:  {"timeout", tagTimeout},
	9:  {"send_time", tagSendTime},
	10: {"credit", tagCredit},
	11: {"trace", tagTrace},
	12: {"reply_incarnation", tagReplyIncarnation},
	13: {"regards_incarnation", tagRegardsIncarnation},
	15: {"payload", tagPayload},
}
