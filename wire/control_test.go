package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

func hello() *Hello {
	return &Hello{Version: Version, Incarnation: 1, Lanes: 8, MaxBlock: DefaultMaxBlock}
}

// The longest frame that every other limit allows fits in MaxControlFrame, so a
// host that keeps the limits never fails to say hello.
func TestControlLongest(t *testing.T) {
	capabilities := make([]uint32, MaxCapabilities)
	lanes := make([]*LaneCount, MaxLanes)
	for i := range capabilities {
		capabilities[i] = math.MaxUint32 - MaxCapabilities + uint32(i)
	}
	for i := range lanes {
		lanes[i] = &LaneCount{Lane: uint32(i), Count: math.MaxUint64}
	}
	m := &Control{Kind: &ControlHello{Hello: &Hello{
		Version: math.MaxUint32, Incarnation: math.MaxUint64, PeerIncarnation: math.MaxUint64, Proof: make([]byte, ProofSize),
		Capabilities: capabilities, Agent: strings.Repeat("a", MaxAgent), Received: lanes, Lanes: MaxLanes, MaxBlock: math.MaxUint64,
	}}}
	b, err := AppendControl(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", len(b))
	got, err := ReadControl(bufio.NewReader(bytes.NewReader(b)))
	if err != nil || !proto.Equal(got, m) {
		t.Errorf("read %v, %v", got, err)
	}
}

// So does the longest Ack, which is sent while data flows.
func TestAckLongest(t *testing.T) {
	ack := &Ack{}
	for i := range MaxLanes {
		ack.Received = append(ack.Received, &LaneCount{Lane: uint32(i), Count: math.MaxUint64})
	}
	for range MaxStreamCounts {
		ack.Streams = append(ack.Streams, &StreamCount{
			Stream: MaxStreamNumber, Yours: true, Count: math.MaxUint64, Done: true, Reset_: math.MaxUint32, Stop: math.MaxUint32,
		})
	}
	b, err := AppendControl(nil, &Control{Kind: &ControlAck{Ack: ack}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", len(b))
	ack.Streams = append(ack.Streams, &StreamCount{Stream: 1})
	var value *ValueError
	if _, err := AppendControl(nil, &Control{Kind: &ControlAck{Ack: ack}}); !errors.As(err, &value) || *value != (ValueError{"streams", TooLong}) {
		t.Errorf("one stream more: %v", err)
	}
}

// What ReadControl would refuse, AppendControl refuses to send, as our fault.
func TestControlAppendRefuses(t *testing.T) {
	bad := hello()
	bad.Lanes = MaxLanes + 1
	text := hello()
	text.Agent = "\xff"
	for name, test := range map[string]struct {
		in   *Control
		want ValueError
	}{
		"nil":      {nil, ValueError{"kind", UnknownKind}},
		"no kind":  {&Control{}, ValueError{"kind", UnknownKind}},
		"nil kind": {&Control{Kind: &ControlHello{}}, ValueError{"version", MissingField}},
		"lanes":    {&Control{Kind: &ControlHello{Hello: bad}}, ValueError{"lanes", TooLarge}},
		"agent":    {&Control{Kind: &ControlHello{Hello: text}}, ValueError{"agent", BadMessage}},
		"connections": {&Control{Kind: &ControlHello{Hello: &Hello{Version: 1, Incarnation: 1, Lanes: 1, MaxBlock: 1, Connections: MaxConnections + 1}}},
			ValueError{"connections", TooLarge}},
		"empty ack":  {&Control{Kind: &ControlAck{Ack: &Ack{}}}, ValueError{"received", MissingField}},
		"stream 0":   {&Control{Kind: &ControlAck{Ack: &Ack{Streams: []*StreamCount{nil}}}}, ValueError{"streams", MissingField}},
		"outdated 0": {&Control{Kind: &ControlOutdated{Outdated: &Outdated{}}}, ValueError{"incarnation", MissingField}},
		"nil lane":   {&Control{Kind: &ControlAck{Ack: &Ack{Received: []*LaneCount{nil, nil}}}}, ValueError{"received", BadOrder}},
	} {
		b, err := AppendControl([]byte("before"), test.in)
		var value *ValueError
		if !errors.As(err, &value) || *value != test.want || string(b) != "before" {
			t.Errorf("%s: %q, %v; want %v", name, b, err, &test.want)
		}
	}
}

// A newer peer's Hello has fields that we do not know: we read the rest, and do
// not carry them along.
func TestControlUnknownFields(t *testing.T) { // CN5
	inner, err := proto.Marshal(hello())
	if err != nil {
		t.Fatal(err)
	}
	inner = protowire.AppendBytes(protowire.AppendTag(inner, 1000, protowire.BytesType), make([]byte, 100))
	frame := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
	m, err := ReadControl(bufio.NewReader(bytes.NewReader(append(binary.AppendUvarint(nil, uint64(len(frame))), frame...))))
	if err != nil || !proto.Equal(m.GetHello(), hello()) {
		t.Errorf("read %v, %v", m, err)
	}
}

// Frames follow each other; the end between two is EOF, within one it is not.
func TestReadControlSequence(t *testing.T) { // CN2
	var b []byte
	var err error
	for nonce := range uint64(3) {
		if b, err = AppendControl(b, &Control{Kind: &ControlPing{Ping: &Ping{Nonce: nonce}}}); err != nil {
			t.Fatal(err)
		}
	}
	r := bufio.NewReaderSize(bytes.NewReader(b), 16)
	for nonce := range uint64(3) {
		if m, err := ReadControl(r); err != nil || m.GetPing() == nil || m.GetPing().GetNonce() != nonce {
			t.Errorf("frame %d: %v, %v", nonce, m, err)
		}
	}
	if _, err := ReadControl(r); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v", err)
	}
	if _, err := ReadControl(bufio.NewReader(bytes.NewReader(b[:len(b)-5]))); err != nil {
		t.Error(err)
	}
}

// T14: reading never takes more than a frame's worth of memory, whatever length
// is claimed and however little of it comes.
func TestReadControlAllocs(t *testing.T) {
	huge := binary.AppendUvarint(nil, 1<<40)
	src := bytes.NewReader(huge)
	r := bufio.NewReader(src)
	if n := testing.AllocsPerRun(100, func() {
		src.Reset(huge)
		r.Reset(src)
		if _, err := ReadControl(r); err == nil {
			t.Error("accepted")
		}
	}); n > 2 {
		t.Errorf("%v allocations to refuse a frame by its length", n)
	}
}

func FuzzControl(f *testing.F) {
	for _, b := range readVectors(f, "control.txt") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ReadControl(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			checkReadError(t, err)
			return
		}
		// The generated reader takes fields in any order, so the bytes may
		// differ the first time; what they say may not, and the second time is
		// final.
		again, err := AppendControl(nil, m)
		if err != nil {
			t.Fatalf("accepted %v, but cannot encode it: %v", m, err)
		}
		m2, err := ReadControl(bufio.NewReader(bytes.NewReader(again)))
		if err != nil || !proto.Equal(m, m2) {
			t.Fatalf("%v became %v, %v", m, m2, err)
		}
		if final, err := AppendControl(nil, m2); err != nil || !bytes.Equal(final, again) {
			t.Fatalf("%x became %x, %v", again, final, err)
		}
	})
}
