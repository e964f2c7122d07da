package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"parley/wire"
)

// RC1 to RC5, by the golden vectors: testdata/README.md describes the file.
// After a deliberate change, `go test ./socket/record -run Vectors -rewrite`
// writes the outcomes again; the bytes are never rewritten.
func TestVectors(t *testing.T) {
	datadriven.RunTest(t, "testdata/record.txt", func(t *testing.T, d *datadriven.TestData) string {
		in := vectorBytes(t, d.Input)
		want, end := decode(in)
		if again := encode(t, want); !bytes.Equal(again, in[:len(again)]) {
			t.Errorf("%s: writes %x, want %x", d.Pos, again, in)
		}
		var out strings.Builder
		r := NewReader(bytes.NewReader(in), Limits{})
		for {
			p, err := r.ReadRecord(nil)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				fmt.Fprintln(&out, err)
			} else if err != nil {
				if tooLarge := (*TooLargeError)(nil); errors.As(err, &tooLarge) { // said before the end is found
					continue
				}
				fmt.Fprintf(&out, "error: %v\n", err)
			}
			if err != nil {
				if !sameEnd(err, end) {
					t.Errorf("%s: ends with %v, the model with %v", d.Pos, err, end)
				}
				return out.String()
			}
			fmt.Fprintf(&out, "record: %q\n", p)
		}
	})
}

// chunks is a record as the model sees it.
type chunks [][]byte

// decode is a second reading of the rules: the records that b begins with, and
// how b ends.
func decode(b []byte) (records []chunks, end error) {
	var current chunks
	for {
		in := bytes.NewReader(b)
		v, err := wire.ReadUvarint(in, math.MaxInt64)
		switch {
		case errors.Is(err, io.EOF) && current != nil:
			return records, io.ErrUnexpectedEOF
		case err != nil:
			return records, err
		case v == 1:
			return records, &wire.SyntaxError{Offset: -1, Reason: wire.ZeroField, Field: "record chunk"}
		}
		b = b[len(b)-in.Len():]
		if v/2 > uint64(len(b)) {
			return records, io.ErrUnexpectedEOF
		}
		current = append(current, b[:v/2])
		b = b[v/2:]
		if v%2 == 0 {
			records, current = append(records, current), nil
		}
	}
}

// encode writes records with the same chunks.
func encode(t *testing.T, records []chunks) []byte {
	var out bytes.Buffer
	w := NewWriter(&out)
	for _, c := range records {
		last := len(c) - 1
		if last > 0 && len(c[last]) > 0 {
			// Only what another implementation may write: our Writer ends a record of
			// several chunks with an empty one.
			for _, p := range c[:last] {
				if _, err := w.writeChunk(p, more); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.writeChunk(c[last], 0); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if last == 0 {
			if err := w.WriteRecord(c[0]); err != nil {
				t.Fatal(err)
			}
			continue
		}
		p, err := w.Begin()
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range c[:last] {
			if n, err := p.Write(b); n != len(b) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func sameEnd(a, b error) bool {
	var x, y *wire.SyntaxError
	if errors.As(a, &x) && errors.As(b, &y) {
		return *x == *y
	}
	return errors.Is(a, b)
}

func vectorBytes(t testing.TB, input string) []byte {
	var digits strings.Builder
	for line := range strings.Lines(input) {
		line, _, _ = strings.Cut(line, "#")
		for word := range strings.FieldsSeq(line) {
			digits.WriteString(word)
		}
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// seeds are the bytes of all vectors, to begin fuzzing with.
func seeds(t testing.TB) (vectors [][]byte) {
	text, err := os.ReadFile("testdata/record.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range strings.Split(string(text), "\nread\n")[1:] {
		input, _, ok := strings.Cut(section, "----")
		if !ok {
			t.Fatal("a vector without an outcome")
		}
		vectors = append(vectors, vectorBytes(t, input))
	}
	if len(vectors) == 0 {
		t.Fatal("no vectors")
	}
	return vectors
}

// errPause is a deadline that has passed.
var errPause = errors.New("pause")

// rough hands out b in random pieces, with errors that pass between them.
type rough struct {
	b      []byte
	random *rand.Rand
	shut   bool // reading is a mistake
	reads  int
	t      testing.TB
}

func (r *rough) Read(p []byte) (int, error) {
	r.reads++
	if r.shut {
		r.t.Fatal("read where all was to be there already")
	}
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	if r.random.IntN(4) == 0 {
		return 0, errPause
	}
	n := copy(p, r.b[:1+r.random.IntN(min(len(r.b), 1+r.random.IntN(5000)))])
	r.b = r.b[n:]
	return n, nil
}
