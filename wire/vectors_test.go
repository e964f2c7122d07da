package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// The golden vectors: testdata/README.md describes the files. After a deliberate
// change, `go test ./wire -run Vectors -rewrite` writes the outcomes again; the
// bytes are never rewritten.

func TestHeaderVectors(t *testing.T) { // EN1, EN2, EN5
	runVectors(t, "header.txt", func(t *testing.T, in []byte) string {
		var h Header
		payload, err := h.Parse(in)
		if err != nil {
			return errorLine(err)
		}
		again, err := h.Append(nil, len(payload))
		if again = append(again, payload...); err != nil || !bytes.Equal(again, in) {
			t.Errorf("encodes to %x, %v; want %x", again, err, in)
		}
		// The generated code, which orders fields itself, agrees.
		theirs, err := proto.MarshalOptions{Deterministic: true}.Marshal(envelope(&h, payload))
		if err != nil || !bytes.Equal(theirs, in) {
			t.Errorf("generated code encodes to %x, %v; want %x", theirs, err, in)
		}
		return describeHeader(&h, payload)
	})
}

func TestPreambleVectors(t *testing.T) { // CN1
	runVectors(t, "preamble.txt", func(t *testing.T, in []byte) string {
		p, err := ReadPreamble(bytes.NewReader(in))
		if err != nil {
			return errorLine(err)
		}
		if again, err := p.Append(nil); err != nil || !bytes.Equal(again, in) {
			t.Errorf("encodes to %x, %v; want %x", again, err, in)
		}
		return describePreamble(&p)
	})
}

// describePreamble lists the fields that the kind has.
func describePreamble(p *Preamble) string {
	s := fmt.Sprintf("kind: %d\n", p.Kind)
	if p.Kind == StreamLane || p.Kind == StreamBlock {
		s += fmt.Sprintf("lane: %d\nnumber: %d\n", p.Lane, p.Number)
	}
	if p.Kind == StreamBlock {
		s += fmt.Sprintf("length: %d\n", p.Length)
	}
	if p.Kind == StreamBlock || p.Kind == StreamBytes {
		s += fmt.Sprintf("stream: %d\noffset: %d\n", p.Stream, p.Offset)
	}
	if p.Kind == StreamBytes {
		s += fmt.Sprintf("received: %d\nparent: %+v\nservice: %q\nprotocol: %q\n", p.Received, p.Parent, p.Service, p.Protocol)
	}
	return s
}

func TestControlVectors(t *testing.T) { // CN2
	runVectors(t, "control.txt", func(t *testing.T, in []byte) string {
		m, err := ReadControl(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			return errorLine(err)
		}
		if again, err := AppendControl(nil, m); err != nil || !bytes.Equal(again, in) {
			t.Errorf("encodes to %x, %v; want %x", again, err, in)
		}
		// prototext varies its spaces on purpose.
		text := prototext.MarshalOptions{Multiline: true}.Format(m)
		return strings.ReplaceAll(text, ":  ", ": ")
	})
}

// runVectors calls read with the bytes of each vector of a file and compares what
// it returns with what the file says.
func runVectors(t *testing.T, file string, read func(t *testing.T, in []byte) string) {
	datadriven.RunTest(t, filepath.Join("testdata", file), func(t *testing.T, d *datadriven.TestData) string {
		in, err := vectorBytes(d.Input)
		if err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
		return read(t, in)
	})
}

// readVectors returns the bytes of every vector of a file, to begin fuzzing with.
func readVectors(t testing.TB, file string) (vectors [][]byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range strings.Split(string(text), "\nread\n")[1:] {
		input, _, ok := strings.Cut(section, "----")
		b, err := vectorBytes(input)
		if !ok || err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		vectors = append(vectors, b)
	}
	if len(vectors) == 0 {
		t.Fatalf("%s holds no vectors", file)
	}
	return vectors
}

// vectorBytes decodes lines of hexadecimal bytes, each with a comment after "#".
func vectorBytes(input string) ([]byte, error) {
	var digits strings.Builder
	for line := range strings.Lines(input) {
		line, _, _ = strings.Cut(line, "#")
		for word := range strings.FieldsSeq(line) {
			digits.WriteString(word)
		}
	}
	return hex.DecodeString(digits.String())
}

func errorLine(err error) string { return "error: " + err.Error() + "\n" }

func describeHeader(h *Header, payload []byte) string {
	var s strings.Builder
	line := func(name string, set bool, value any) {
		if set {
			fmt.Fprintf(&s, "%s: %v\n", name, value)
		}
	}
	line("type", h.Type != 0, h.Type)
	line("id", h.ID != 0, h.ID)
	line("in_reply_to", h.InReplyTo != 0, h.InReplyTo)
	line(map[RegardsKind]string{
		RegardsSender: "regards_sender", RegardsReceiver: "regards_receiver", RegardsService: "service",
	}[h.Regards], h.Regards != RegardsNone, h.RegardsID)
	line("flags", h.Flags != 0, uint32(h.Flags))
	line("timeout", h.Timeout != 0, h.Timeout)
	line("send_time", h.SendTime != 0, time.UnixMicro(h.SendTime).UTC().Format(time.RFC3339Nano))
	line("credit", h.Credit != 0, h.Credit)
	line("trace", h.Trace != (Trace{}), fmt.Sprintf("%x/%x/%02x", h.Trace.TraceID, h.Trace.SpanID, h.Trace.Flags))
	line("reply_incarnation", h.ReplyIncarnation != 0, fmt.Sprintf("%016x", h.ReplyIncarnation))
	line("regards_incarnation", h.RegardsIncarnation != 0, fmt.Sprintf("%016x", h.RegardsIncarnation))
	line("payload", payload != nil, fmt.Sprintf("%q", payload))
	return s.String()
}
