package wire

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestPreambleAppendRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		in   Preamble
		want ValueError
	}{
		"kind 0":           {Preamble{}, ValueError{"kind", UnknownKind}},
		"kind 5":           {Preamble{Kind: 5}, ValueError{"kind", UnknownKind}},
		"lane":             {Preamble{Kind: StreamLane, Lane: MaxLanes}, ValueError{"lane", TooLarge}},
		"control's lane":   {Preamble{Kind: StreamControl, Lane: 1}, ValueError{"lane", UnexpectedData}},
		"stream's number":  {Preamble{Kind: StreamBytes, Number: 1}, ValueError{"lane", UnexpectedData}},
		"lane's length":    {Preamble{Kind: StreamLane, Length: 1}, ValueError{"length", UnexpectedData}},
		"block's length":   {Preamble{Kind: StreamBlock}, ValueError{"length", ZeroField}},
		"length too large": {Preamble{Kind: StreamBlock, Length: MaxPayload + 1}, ValueError{"length", TooLong}},
		"lane's stream":    {Preamble{Kind: StreamLane, Stream: 1}, ValueError{"stream", UnexpectedData}},
		"no stream":        {Preamble{Kind: StreamBytes}, ValueError{"stream", ZeroField}},
		"stream too large": {Preamble{Kind: StreamBytes, Stream: MaxStreamNumber + 1}, ValueError{"stream", TooLarge}},
		"block's offset":   {Preamble{Kind: StreamBlock, Length: 1, Stream: 1, Offset: 2}, ValueError{"offset", TooLarge}},
		"block's parent":   {Preamble{Kind: StreamBlock, Length: 1, Stream: 1, Parent: StreamRef{Number: 1}}, ValueError{"received", UnexpectedData}},
		"parent of nobody": {Preamble{Kind: StreamBytes, Stream: 1, Parent: StreamRef{Yours: true}}, ValueError{"parent", TooLarge}},
		"service alone":    {Preamble{Kind: StreamBytes, Stream: 1, Service: "s"}, ValueError{"protocol", MissingField}},
		"protocol alone":   {Preamble{Kind: StreamBytes, Stream: 1, Protocol: "p"}, ValueError{"protocol", MissingField}},
		"service's text":   {Preamble{Kind: StreamBytes, Stream: 1, Service: "\xff", Protocol: "p"}, ValueError{"service", BadMessage}},
		"long protocol":    {Preamble{Kind: StreamBytes, Stream: 1, Service: "s", Protocol: strings.Repeat("p", MaxServiceName+1)}, ValueError{"protocol", TooLong}},
	} {
		b, err := test.in.Append([]byte("before"))
		var value *ValueError
		if !errors.As(err, &value) || *value != test.want || string(b) != "before" {
			t.Errorf("%s: %q, %v; want %v", name, b, err, &test.want)
		}
	}
}

func TestMaxPreamble(t *testing.T) {
	name := strings.Repeat("s", MaxServiceName)
	b, err := Preamble{
		Kind: StreamBytes, Stream: MaxStreamNumber, Offset: math.MaxUint64, Received: math.MaxUint64,
		Parent: StreamRef{Number: MaxStreamNumber, Yours: true}, Service: name, Protocol: name,
	}.Append(nil)
	if err != nil || len(b) != MaxPreamble {
		t.Errorf("the longest preamble has %d bytes, %v; MaxPreamble says %d", len(b), err, MaxPreamble)
	}
}

func FuzzPreamble(f *testing.F) {
	for _, v := range readVectors(f, "preamble.txt") {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		p, err := ReadPreamble(r)
		if err != nil {
			checkReadError(t, err)
			return
		}
		used := b[:len(b)-r.Len()]
		again, err := p.Append(nil)
		if err != nil || !bytes.Equal(again, used) {
			t.Fatalf("accepted %x, which encodes to %x, %v", used, again, err)
		}
		for n := range used {
			if _, err := ReadPreamble(bytes.NewReader(used[:n])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%d bytes of %x: %v", n, used, err)
			}
		}
	})
}

// checkReadError fails the test if err is of no kind that the Read functions
// document.
func checkReadError(t *testing.T, err error) {
	t.Helper()
	var syntax *SyntaxError
	switch {
	case errors.As(err, &syntax):
		if syntax.Reason == 0 || syntax.Offset != -1 {
			t.Fatalf("%v: no reason, or an offset", err)
		}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
	default:
		t.Fatalf("undocumented error %T %v", err, err)
	}
}
