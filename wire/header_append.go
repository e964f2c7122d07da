package wire

import (
	"encoding/binary"
	"math"
)

// Append appends the encoded head to b, up to and including the tag and length
// of a payload of payloadLen bytes; the caller appends the payload itself. With
// Type 0 there is no payload: payloadLen is 0 and the head is the whole block.
//
// It writes at most [MaxHeader] bytes and allocates only if b has less room. The
// error is a [*ValueError], and then b is returned as it was.
func (h *Header) Append(b []byte, payloadLen int) ([]byte, error) {
	if err := h.check(payloadLen); err != nil {
		return b, err
	}
	if h.Type != 0 {
		b = append(b, tagType, byte(h.Type), byte(h.Type>>8), byte(h.Type>>16), byte(h.Type>>24))
	}
	if h.ID != 0 {
		b = binary.AppendUvarint(append(b, tagID), h.ID)
	}
	if h.InReplyTo != 0 {
		b = binary.AppendUvarint(append(b, tagInReplyTo), h.InReplyTo)
	}
	if h.Regards != RegardsNone {
		b = binary.AppendUvarint(append(b, regardsTag(h.Regards)), h.RegardsID)
	}
	if h.Flags != 0 {
		b = append(b, tagFlags, byte(h.Flags)) // check lets only bits through that fit
	}
	if h.Timeout != 0 {
		b = binary.AppendUvarint(append(b, tagTimeout), micros(h.Timeout))
	}
	if h.SendTime != 0 {
		b = binary.AppendUvarint(append(b, tagSendTime), uint64(h.SendTime))
	}
	if h.Credit != 0 {
		b = binary.AppendUvarint(append(b, tagCredit), h.Credit)
	}
	if h.Trace != (Trace{}) {
		b = append(b, tagTrace, traceSize)
		b = append(b, h.Trace.TraceID[:]...)
		b = append(b, h.Trace.SpanID[:]...)
		b = append(b, h.Trace.Flags)
	}
	if h.ReplyIncarnation != 0 {
		b = binary.LittleEndian.AppendUint64(append(b, tagReplyIncarnation), h.ReplyIncarnation)
	}
	if h.RegardsIncarnation != 0 {
		b = binary.LittleEndian.AppendUint64(append(b, tagRegardsIncarnation), h.RegardsIncarnation)
	}
	if h.Type != 0 {
		b = binary.AppendUvarint(append(b, tagPayload), uint64(payloadLen))
	}
	return b, nil
}

// regardsTag returns the tag of the field that holds a RegardsID of kind k.
func regardsTag(k RegardsKind) byte {
	return tagRegardsSender + byte(k-RegardsSender)<<3
}

// check reports why h has no encoding, if so. Parse enforces the same rules.
func (h *Header) check(payloadLen int) error {
	switch {
	case payloadLen < 0 || payloadLen > MaxPayload:
		return &ValueError{"payload", TooLong}
	case h.Regards > RegardsService:
		return &ValueError{"regards", UnknownKind}
	case (h.Regards == RegardsNone) != (h.RegardsID == 0):
		return &ValueError{"regards", MissingField}
	case h.Regards == RegardsService && h.RegardsID > math.MaxUint32:
		return &ValueError{"service", TooLarge}
	case h.Flags&^knownFlags != 0:
		return &ValueError{"flags", UnknownFlag}
	case h.Timeout < 0:
		return &ValueError{"timeout", TooLarge} // as on the wire, where no sign is
	case h.SendTime < 0:
		return &ValueError{"send_time", TooLarge}
	case h.Trace != (Trace{}) && !h.Trace.IsValid():
		return &ValueError{"trace", BadTrace}
	case h.ReplyIncarnation != 0 && h.InReplyTo == 0:
		return &ValueError{"reply_incarnation", MissingField}
	case h.RegardsIncarnation != 0 && (h.Regards == RegardsNone || h.Regards == RegardsService):
		return &ValueError{"regards_incarnation", MissingField}
	case h.Type == 0 && payloadLen != 0:
		return &ValueError{"payload", UnexpectedData}
	case h.Type == 0 && (h.Regards == RegardsNone || h.Credit == 0):
		return &ValueError{"type", MissingField}
	}
	return nil
}
