package wire

import (
	"encoding/binary"
	"math"
	"time"
)

// Parse reads the block b into h, replacing all of it, and returns the payload,
// which is a part of b: not nil, if empty, when h.Type is set, and nil otherwise.
//
// It accepts what [Header.Append] writes and nothing else. The error is
// [ErrTruncated] or a [*SyntaxError]; h then holds no meaning. Parse allocates
// nothing but that error.
func (h *Header) Parse(b []byte) (payload []byte, err error) {
	*h = Header{}
	i := 0 // the first byte not yet read

	// Each field is looked for once, in order: what is left over at the end is
	// the first byte that is out of order, repeated or unknown.
	if i < len(b) && b[i] == tagType {
		if len(b)-i < 5 {
			return nil, ErrTruncated
		}
		if h.Type = Type(binary.LittleEndian.Uint32(b[i+1:])); h.Type == 0 {
			return nil, fault(b, i, ZeroField)
		}
		i += 5
	}
	if i < len(b) && b[i] == tagID {
		if h.ID, i, err = field(b, i, math.MaxUint64); err != nil {
			return nil, err
		}
	}
	if i < len(b) && b[i] == tagInReplyTo {
		if h.InReplyTo, i, err = field(b, i, math.MaxUint64); err != nil {
			return nil, err
		}
	}
	if i < len(b) && b[i] >= tagRegardsSender && b[i] <= tagService && b[i]&7 == wireVarint {
		limit := uint64(math.MaxUint64)
		if b[i] == tagService {
			limit = math.MaxUint32
		}
		h.Regards = RegardsSender + RegardsKind(b[i]-tagRegardsSender)>>3
		if h.RegardsID, i, err = field(b, i, limit); err != nil {
			return nil, err
		}
	}
	if i < len(b) && b[i] == tagFlags {
		v, next, err := field(b, i, math.MaxUint32)
		if err != nil {
			return nil, err
		}
		if h.Flags = Flags(v); h.Flags&^knownFlags != 0 {
			return nil, fault(b, i, UnknownFlag)
		}
		i = next
	}
	if i < len(b) && b[i] == tagTimeout {
		var us uint64
		if us, i, err = field(b, i, maxMicros); err != nil {
			return nil, err
		}
		h.Timeout = time.Duration(us) * time.Microsecond
	}
	if i < len(b) && b[i] == tagSendTime {
		var us uint64
		if us, i, err = field(b, i, math.MaxInt64); err != nil {
			return nil, err
		}
		h.SendTime = int64(us)
	}
	if i < len(b) && b[i] != tagPayload {
		return h.parseRare(b, i)
	}
	return h.parsePayload(b, i)
}

// parseRare reads the fields that few messages have, from byte i of b on.
func (h *Header) parseRare(b []byte, i int) (payload []byte, err error) {
	if i < len(b) && b[i] == tagCredit {
		if h.Credit, i, err = field(b, i, math.MaxUint64); err != nil {
			return nil, err
		}
	}
	if i < len(b) && b[i] == tagTrace {
		if i+1 < len(b) && b[i+1] != traceSize {
			return nil, fault(b, i, BadLength)
		}
		if len(b)-i < 2+traceSize {
			return nil, ErrTruncated
		}
		v := b[i+2:]
		copy(h.Trace.TraceID[:], v)
		copy(h.Trace.SpanID[:], v[16:])
		h.Trace.Flags = v[24]
		if !h.Trace.IsValid() {
			return nil, fault(b, i, BadTrace)
		}
		i += 2 + traceSize
	}
	if i < len(b) && b[i] == tagReplyIncarnation {
		if h.InReplyTo == 0 {
			return nil, fault(b, i, MissingField)
		}
		if h.ReplyIncarnation, i, err = fixed64(b, i); err != nil {
			return nil, err
		}
	}
	if i < len(b) && b[i] == tagRegardsIncarnation {
		if h.Regards != RegardsSender && h.Regards != RegardsReceiver {
			return nil, fault(b, i, MissingField)
		}
		if h.RegardsIncarnation, i, err = fixed64(b, i); err != nil {
			return nil, err
		}
	}
	return h.parsePayload(b, i)
}

// parsePayload reads the payload, the last field, from byte i of b on.
func (h *Header) parsePayload(b []byte, i int) (payload []byte, err error) {
	if i == len(b) {
		return nil, h.checkEnd(i)
	}
	if b[i] != tagPayload {
		return nil, unexpected(b, i)
	}
	if h.Type == 0 {
		return nil, fault(b, i, UnexpectedData)
	}
	n, size := varint(b[i+1:])
	switch {
	case size == 0:
		return nil, ErrTruncated
	case size < 0:
		return nil, fault(b, i, BadVarint)
	case n > MaxPayload:
		return nil, fault(b, i, TooLong)
	}
	i += 1 + size
	switch rest := uint64(len(b) - i); {
	case rest < n:
		return nil, ErrTruncated
	case rest > n:
		return nil, &SyntaxError{Offset: i + int(n), Reason: UnexpectedData}
	}
	return b[i:len(b):len(b)], nil
}

// checkEnd says whether a head that ends at byte i, without a payload, is whole.
func (h *Header) checkEnd(i int) error {
	if h.Type != 0 {
		return ErrTruncated
	}
	// Without a type it has to name a conversation and grant credit. Either may
	// still follow unless a later field stands already.
	pastCredit := h.Trace != (Trace{}) || h.ReplyIncarnation != 0 || h.RegardsIncarnation != 0
	pastRegards := pastCredit || h.Flags != 0 || h.Timeout != 0 || h.SendTime != 0 || h.Credit != 0
	switch {
	case h.Regards != RegardsNone && h.Credit != 0:
		return nil
	case h.Regards == RegardsNone && pastRegards, h.Credit == 0 && pastCredit:
		return &SyntaxError{Offset: i, Reason: MissingField, Field: "type"}
	}
	return ErrTruncated
}

// field reads the varint field whose tag is at byte i of b. It returns the value,
// which is 1 to limit, and where the next field begins.
func field(b []byte, i int, limit uint64) (v uint64, next int, err error) {
	v, n := varint(b[i+1:])
	switch {
	case n == 0:
		return 0, i, ErrTruncated
	case n < 0:
		return 0, i, fault(b, i, BadVarint)
	case v == 0:
		return 0, i, fault(b, i, ZeroField)
	case v > limit:
		return 0, i, fault(b, i, TooLarge)
	}
	return v, i + 1 + n, nil
}

// fixed64 is as field, for a field of eight bytes.
func fixed64(b []byte, i int) (v uint64, next int, err error) {
	if len(b)-i < sizeFixed64 {
		return 0, i, ErrTruncated
	}
	if v = binary.LittleEndian.Uint64(b[i+1:]); v == 0 {
		return 0, i, fault(b, i, ZeroField)
	}
	return v, i + sizeFixed64, nil
}

// unexpected says what is wrong with the tag at byte i of b, where no field that
// could stand there begins.
func unexpected(b []byte, i int) error {
	switch n := b[i] >> 3; {
	case int(n) >= len(envelopeFields) || envelopeFields[n].tag == 0:
		return &SyntaxError{Offset: i, Reason: UnknownField}
	case envelopeFields[n].tag != b[i]:
		return fault(b, i, BadWireType)
	}
	return fault(b, i, BadOrder)
}

// fault reports what is wrong with the known field whose tag is at byte i of b.
func fault(b []byte, i int, r Reason) error {
	return &SyntaxError{Offset: i, Reason: r, Field: envelopeFields[b[i]>>3].name}
}
