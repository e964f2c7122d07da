package wire

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/schema/parleyv1"
)

// T14: whatever a peer sends, reading it gives a documented error, or a head
// that encodes to the same bytes and that the generated code reads alike.
func FuzzHeader(f *testing.F) {
	for _, b := range readVectors(f, "header.txt") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Header
		payload, err := h.Parse(b)
		var syntax *SyntaxError
		switch {
		case err == nil:
		case errors.Is(err, ErrTruncated):
			return
		case errors.As(err, &syntax):
			if syntax.Reason == 0 || syntax.Offset < 0 || syntax.Offset > len(b) {
				t.Fatalf("%v: no reason, or outside the input", err)
			}
			return
		default:
			t.Fatalf("undocumented error %T %v", err, err)
		}
		checkCanonical(t, b)
		if len(b)-len(payload) > MaxHeader {
			t.Fatalf("head of %d bytes, over MaxHeader", len(b)-len(payload))
		}
		var e parleyv1.Envelope
		if err := proto.Unmarshal(b, &e); err != nil {
			t.Fatalf("accepted what the generated code refuses: %v", err)
		}
		if want := envelope(&h, payload); !proto.Equal(&e, want) || len(e.ProtoReflect().GetUnknown()) > 0 {
			t.Fatalf("read %v, the generated code %v", want, &e)
		}
		theirs, err := proto.MarshalOptions{Deterministic: true}.Marshal(&e)
		if err != nil || !bytes.Equal(theirs, b) {
			t.Fatalf("accepted %x, which the generated code encodes to %x, %v", b, theirs, err)
		}
	})
}
