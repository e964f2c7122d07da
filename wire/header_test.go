package wire

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/schema/parleyv1"
)

// genHeader draws a head that has an encoding, and a payload for it; numbers of
// all lengths are about equally likely.
func genHeader(t *rapid.T) (Header, []byte) {
	number := func(name string, bits int) uint64 {
		return rapid.Uint64Range(0, 1<<rapid.IntRange(0, bits-1).Draw(t, name+" bits")<<1-1).Draw(t, name)
	}
	h := Header{
		Type:      Type(number("type", 32)),
		ID:        number("id", 64),
		InReplyTo: number("in reply to", 64),
		Flags:     Flags(number("flags", 6)),
		Timeout:   time.Duration(number("timeout", 53)%(maxMicros+1)) * time.Microsecond,
		SendTime:  int64(number("send time", 63)),
		Credit:    number("credit", 64),
	}
	h.Regards = RegardsKind(rapid.IntRange(0, 3).Draw(t, "regards"))
	switch h.Regards {
	case RegardsSender, RegardsReceiver:
		h.RegardsID = max(1, number("regards id", 64))
		h.RegardsIncarnation = number("regards incarnation", 64)
	case RegardsService:
		h.RegardsID = max(1, number("service", 32))
	}
	if h.InReplyTo != 0 {
		h.ReplyIncarnation = number("reply incarnation", 64)
	}
	if rapid.Bool().Draw(t, "traced") {
		copy(h.Trace.TraceID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "trace id"))
		copy(h.Trace.SpanID[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "span id"))
		h.Trace.TraceID[15] |= 1
		h.Trace.SpanID[0] |= 1
		h.Trace.Flags = rapid.Byte().Draw(t, "trace flags")
	}
	if h.Type == 0 && (h.Regards == RegardsNone || h.Credit == 0) {
		h.Type = 1
	}
	if h.Type == 0 {
		return h, nil
	}
	return h, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload")
}

// envelope returns the message of the generated code that says the same as h.
func envelope(h *Header, payload []byte) *parleyv1.Envelope {
	e := &parleyv1.Envelope{
		Type: uint32(h.Type), Id: h.ID, InReplyTo: h.InReplyTo, Flags: uint32(h.Flags),
		Timeout: uint64(h.Timeout / time.Microsecond), SendTime: uint64(h.SendTime), Credit: h.Credit,
		ReplyIncarnation: h.ReplyIncarnation, RegardsIncarnation: h.RegardsIncarnation,
		Payload: payload,
	}
	switch h.Regards {
	case RegardsSender:
		e.RegardsSender = h.RegardsID
	case RegardsReceiver:
		e.RegardsReceiver = h.RegardsID
	case RegardsService:
		e.Service = uint32(h.RegardsID)
	case RegardsNone:
	}
	if h.Trace != (Trace{}) {
		e.Trace = append(append(append(e.Trace, h.Trace.TraceID[:]...), h.Trace.SpanID[:]...), h.Trace.Flags)
	}
	return e
}

// D1, B12: what we write is what a deterministic protobuf encoder writes, and
// either side reads the other's bytes to the same values.
func TestHeaderMatchesGeneratedCode(t *testing.T) { // EN1
	rapid.Check(t, func(t *rapid.T) {
		h, payload := genHeader(t)
		want := envelope(&h, payload)

		ours, err := h.Append(nil, len(payload))
		if err != nil {
			t.Fatal(err)
		}
		if len(ours) > MaxHeader {
			t.Fatalf("head of %d bytes, over MaxHeader", len(ours))
		}
		ours = append(ours, payload...)
		theirs, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours, theirs) {
			t.Fatalf("encodings differ:\nours   %x\ntheirs %x", ours, theirs)
		}

		var back parleyv1.Envelope
		if err := proto.Unmarshal(ours, &back); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(&back, want) {
			t.Fatalf("generated code read %v, want %v", &back, want)
		}
		var got Header
		p, err := got.Parse(theirs)
		if err != nil {
			t.Fatal(err)
		}
		if got != h || !bytes.Equal(p, payload) || (p == nil) != (h.Type == 0) {
			t.Fatalf("read %+v %x, want %+v %x", got, p, h, payload)
		}
	})
}

// Every strict beginning of a block is either truncated or a block itself; one
// byte more than a block is malformed.
func TestHeaderTruncated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, payload := genHeader(t)
		b, err := h.Append(nil, len(payload))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, payload...)
		var got Header
		for n := range b {
			if _, err := got.Parse(b[:n]); err != nil && !errors.Is(err, ErrTruncated) {
				t.Fatalf("%d bytes of %x: %v", n, b, err)
			}
		}
		var syntax *SyntaxError
		if _, err := got.Parse(append(b, 0)); !errors.As(err, &syntax) {
			t.Fatalf("%x00: %v, want a SyntaxError", b, err)
		}
	})
}

// Any one bit flipped gives another head, or an error, but never a second
// spelling of the same one.
func TestHeaderCanonical(t *testing.T) { // EN1
	rapid.Check(t, func(t *rapid.T) {
		h, payload := genHeader(t)
		b, err := h.Append(nil, len(payload))
		if err != nil {
			t.Fatal(err)
		}
		head := len(b)
		b = append(b, payload...)
		for bit := range 8 * head {
			b[bit/8] ^= 1 << (bit % 8)
			checkCanonical(t, b)
			b[bit/8] ^= 1 << (bit % 8)
		}
	})
}

// checkCanonical fails the test if b is accepted and re-encodes to other bytes.
func checkCanonical(t interface{ Fatalf(string, ...any) }, b []byte) {
	var h Header
	payload, err := h.Parse(b)
	if err != nil {
		return
	}
	again, err := h.Append(nil, len(payload))
	if err != nil {
		t.Fatalf("accepted %x, but cannot encode %+v: %v", b, h, err)
	}
	if again = append(again, payload...); !bytes.Equal(again, b) {
		t.Fatalf("accepted %x, which encodes to %x", b, again)
	}
}

func longestHeader() Header {
	h := Header{
		Type: math.MaxUint32, ID: math.MaxUint64, InReplyTo: math.MaxUint64, Regards: RegardsSender,
		RegardsID: math.MaxUint64, Flags: knownFlags, Timeout: math.MaxInt64, SendTime: math.MaxInt64,
		Credit: math.MaxUint64, ReplyIncarnation: math.MaxUint64, RegardsIncarnation: math.MaxUint64,
	}
	h.Trace = Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}, Flags: 1}
	return h
}

func TestMaxHeader(t *testing.T) {
	h := longestHeader()
	b, err := h.Append(nil, MaxPayload)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != MaxHeader {
		t.Errorf("the longest head has %d bytes, MaxHeader says %d", len(b), MaxHeader)
	}
}

// A timeout too short for the wire's unit must not become "none", nor a very
// long one an overflow.
func TestHeaderTimeoutRounding(t *testing.T) { // EN6
	for _, test := range []struct{ in, out time.Duration }{
		{1, time.Microsecond},
		{time.Microsecond, time.Microsecond},
		{time.Microsecond + 1, 2 * time.Microsecond},
		{math.MaxInt64, time.Duration(maxMicros) * time.Microsecond},
		{math.MaxInt64 - 1000, time.Duration(maxMicros) * time.Microsecond},
	} {
		h := Header{Type: 1, Timeout: test.in}
		b, err := h.Append(nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Parse(b); err != nil || h.Timeout != test.out {
			t.Errorf("%d ns arrives as %d, %v; want %d", test.in, h.Timeout, err, test.out)
		}
	}
}

// Append refuses what Parse would refuse, with an error that is ours, and leaves
// the buffer alone.
func TestHeaderAppendRefuses(t *testing.T) { // EN5
	tests := map[string]struct {
		change func(h *Header)
		length int
		want   ValueError
	}{
		"negative length":        {func(*Header) {}, -1, ValueError{"payload", TooLong}},
		"length":                 {func(*Header) {}, MaxPayload + 1, ValueError{"payload", TooLong}},
		"kind of regard":         {func(h *Header) { h.Regards, h.RegardsID = 4, 1 }, 0, ValueError{"regards", UnknownKind}},
		"regard without id":      {func(h *Header) { h.Regards = RegardsSender }, 0, ValueError{"regards", MissingField}},
		"id without regard":      {func(h *Header) { h.RegardsID = 1 }, 0, ValueError{"regards", MissingField}},
		"service":                {func(h *Header) { h.Regards, h.RegardsID = RegardsService, 1<<32 }, 0, ValueError{"service", TooLarge}},
		"flag":                   {func(h *Header) { h.Flags = 64 }, 0, ValueError{"flags", UnknownFlag}},
		"timeout":                {func(h *Header) { h.Timeout = -1 }, 0, ValueError{"timeout", TooLarge}},
		"send time":              {func(h *Header) { h.SendTime = -1 }, 0, ValueError{"send_time", TooLarge}},
		"trace without span":     {func(h *Header) { h.Trace.TraceID[0] = 1 }, 0, ValueError{"trace", BadTrace}},
		"trace without ids":      {func(h *Header) { h.Trace.Flags = 1 }, 0, ValueError{"trace", BadTrace}},
		"reply incarnation":      {func(h *Header) { h.ReplyIncarnation = 1 }, 0, ValueError{"reply_incarnation", MissingField}},
		"regards incarnation":    {func(h *Header) { h.RegardsIncarnation = 1 }, 0, ValueError{"regards_incarnation", MissingField}},
		"service incarnation":    {func(h *Header) { h.Regards, h.RegardsID, h.RegardsIncarnation = RegardsService, 1, 1 }, 0, ValueError{"regards_incarnation", MissingField}},
		"payload without type":   {func(h *Header) { h.Type = 0 }, 1, ValueError{"payload", UnexpectedData}},
		"nothing":                {func(h *Header) { h.Type = 0 }, 0, ValueError{"type", MissingField}},
		"credit without regard":  {func(h *Header) { h.Type, h.Credit = 0, 1 }, 0, ValueError{"type", MissingField}},
		"regards without credit": {func(h *Header) { h.Type, h.Regards, h.RegardsID = 0, RegardsSender, 1 }, 0, ValueError{"type", MissingField}},
	}
	for name, test := range tests {
		h := Header{Type: 1, ID: 1}
		test.change(&h)
		b, err := h.Append([]byte("before"), test.length)
		var value *ValueError
		if !errors.As(err, &value) || *value != test.want || string(b) != "before" {
			t.Errorf("%s: %q, %v; want %v", name, b, err, &test.want)
		}
	}
}

// A Header may be used again, and its payload cannot grow into what follows the
// block in the caller's buffer.
func TestHeaderParseReuse(t *testing.T) {
	long, short := longestHeader(), Header{Type: 1}
	b, err := long.Append(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var h Header
	if _, err := h.Parse(b); err != nil {
		t.Fatal(err)
	}
	if b, err = short.Append(nil, 2); err != nil {
		t.Fatal(err)
	}
	b = append(b, "hi, next block"...)
	payload, err := h.Parse(b[:len(b)-len(", next block")])
	if err != nil || h != short || string(payload) != "hi" || cap(payload) != 2 {
		t.Errorf("read %+v, %q with room for %d, %v; want %+v", h, payload, cap(payload), err, short)
	}
}

// Fields that a later version may define are refused wherever they stand, until
// a capability says otherwise.
func TestHeaderRefusesUnknownFields(t *testing.T) { // EN2
	h := Header{Type: 1, ID: 2}
	known, err := h.Append(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []protowire.Number{14, 16, 2047, protowire.MaxValidNumber} {
		unknown := protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), 1)
		for _, b := range [][]byte{
			slices.Concat(known[:7], unknown),            // instead of the payload
			slices.Concat(known[:7], unknown, known[7:]), // before it
			slices.Concat(known, unknown),                // after it
		} {
			var syntax *SyntaxError
			if _, err := h.Parse(b); !errors.As(err, &syntax) || (syntax.Reason != UnknownField && syntax.Reason != UnexpectedData) {
				t.Errorf("field %d: %x: %v", number, b, err)
			}
		}
	}
}

func TestHeaderAllocs(t *testing.T) {
	for name, h := range map[string]Header{"typical": typicalHeader(), "longest": longestHeader()} {
		buf := make([]byte, 0, MaxHeader)
		block, err := h.Append(nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { _, err = h.Append(buf, 0) }); n != 0 || err != nil {
			t.Errorf("%s: Append allocates %v times, %v", name, n, err)
		}
		if n := testing.AllocsPerRun(100, func() { _, err = h.Parse(block) }); n != 0 || err != nil {
			t.Errorf("%s: Parse allocates %v times, %v", name, n, err)
		}
	}
}

// T14: a lie about lengths costs one small error value, however long the lie.
func TestHeaderErrorAllocs(t *testing.T) {
	b := append([]byte{tagType, 1, 0, 0, 0, tagPayload}, 0xff, 0xff, 0xff, 0xff, 0x07)
	b = append(b, make([]byte, 1<<20)...)
	for _, b := range [][]byte{b, append([]byte{0x82}, b...)} {
		var h Header
		if n := testing.AllocsPerRun(100, func() { _, _ = h.Parse(b) }); n > 1 {
			t.Errorf("Parse allocates %v times to refuse", n)
		}
	}
}

func typicalHeader() Header {
	return Header{
		Type: 0xac315d76, ID: 70_001, InReplyTo: 69_998, Regards: RegardsReceiver, RegardsID: 41_234,
		Flags: FlagMore, SendTime: 1_795_000_000_000_000,
	}
}

func BenchmarkHeaderAppend(b *testing.B) {
	h := typicalHeader()
	buf := make([]byte, 0, MaxHeader)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Append(buf, 128); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHeaderParse(b *testing.B) {
	h := typicalHeader()
	block, err := h.Append(nil, 128)
	if err != nil {
		b.Fatal(err)
	}
	block = append(block, make([]byte, 128)...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Parse(block); err != nil {
			b.Fatal(err)
		}
	}
}

// The generated code's cost for the same head, for comparison.
func BenchmarkGeneratedParse(b *testing.B) {
	h := typicalHeader()
	block, err := h.Append(nil, 128)
	if err != nil {
		b.Fatal(err)
	}
	block = append(block, make([]byte, 128)...)
	b.ReportAllocs()
	for b.Loop() {
		if err := proto.Unmarshal(block, new(parleyv1.Envelope)); err != nil {
			b.Fatal(err)
		}
	}
}
