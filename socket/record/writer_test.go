package record

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
)

// writeSomehow writes one record, whole or in pieces.
func writeSomehow(t *testing.T, w *Writer, p []byte, random *rand.Rand) {
	if random.IntN(2) == 0 {
		if err := w.WriteRecord(p); err != nil {
			t.Fatal(err)
		}
		return
	}
	x, err := w.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for len(p) > 0 {
		n := random.IntN(len(p) + 1)
		if m, err := x.Write(p[:n]); m != n || err != nil {
			t.Fatal(m, err)
		}
		p = p[n:]
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

// script is a writer that takes as many bytes per call as it is told, all when
// nothing is said, and keeps the sizes of the calls.
type script struct {
	take  []int
	err   error // of a call that takes less than it is given
	calls []int
	bytes.Buffer
}

func (s *script) Write(p []byte) (int, error) {
	s.calls = append(s.calls, len(p))
	if len(s.take) == 0 {
		return s.Buffer.Write(p)
	}
	n := min(s.take[0], len(p))
	s.take = s.take[1:]
	s.Buffer.Write(p[:n])
	if n < len(p) {
		return n, s.err
	}
	return n, nil
}

// B6: a small record is one call, head and body together, and a large one is not
// copied.
func TestWriteCalls(t *testing.T) {
	var s script
	w := NewWriter(&s)
	for _, n := range []int{0, 1, 63, 64, smallChunk, smallChunk + 1} {
		if err := w.WriteRecord(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int{1, 2, 64, 66, smallChunk + 3, 3, smallChunk + 1}; !slices.Equal(s.calls, want) {
		t.Errorf("calls of %v bytes, want %v", s.calls, want)
	}
	if cap(w.buf) > 2*smallChunk {
		t.Errorf("%d bytes kept", cap(w.buf))
	}
	p := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		s.Reset()
		s.calls = s.calls[:0]
		_ = w.WriteRecord(p)
	}); n != 0 {
		t.Errorf("%v allocations per record", n)
	}
}

// B6: a record of unknown size is on its way before it is complete, and nothing
// comes in between.
func TestBegin(t *testing.T) {
	var s script
	w := NewWriter(&s)
	x, err := w.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"foo", "", "bar"} {
		if n, err := io.WriteString(x, p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := s.String(); got != "\x07foo\x07bar" {
		t.Errorf("%q before Close", got)
	}
	if err := w.WriteRecord(nil); !errors.Is(err, ErrUnfinished) {
		t.Errorf("WriteRecord before Close: %v", err)
	}
	if _, err := w.Begin(); !errors.Is(err, ErrUnfinished) {
		t.Errorf("Begin before Close: %v", err)
	}
	for range 2 {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := x.Write([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	if err := w.WriteRecord([]byte("!")); err != nil {
		t.Error(err)
	}
	if got := s.String(); got != "\x07foo\x07bar\x00\x02!" {
		t.Errorf("%q", got)
	}
}

// A record of which the stream took a part cannot be taken back, and nothing is
// written behind it; one of which it took nothing may be written again.
func TestWriteError(t *testing.T) {
	broken := errors.New("broken")
	large := make([]byte, smallChunk+1)
	for _, test := range []struct {
		take   []int
		record []byte
		again  bool
	}{
		{[]int{0}, []byte("abc"), true},
		{[]int{1}, []byte("abc"), false},
		{[]int{3}, []byte("abc"), false},
		{[]int{0}, large, true},
		{[]int{3, 0}, large, false},
		{[]int{3, 100}, large, false},
	} {
		s := script{take: test.take, err: broken}
		w := NewWriter(&s)
		if err := w.WriteRecord(test.record); !errors.Is(err, broken) {
			t.Errorf("%v: %v", test.take, err)
		}
		s.take = nil
		calls := len(s.calls)
		err := w.WriteRecord(test.record)
		if test.again != (err == nil) || test.again != (len(s.calls) > calls) || !test.again && !errors.Is(err, broken) {
			t.Errorf("%v: then %v, %d calls", test.take, err, len(s.calls)-calls)
		}
	}
	silent := script{take: []int{2}} // says nothing of what it left out
	if err := NewWriter(&silent).WriteRecord([]byte("abc")); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("short write: %v", err)
	}
}

// Write says how much of the piece has gone out; Close may be repeated.
func TestPieceError(t *testing.T) {
	broken := errors.New("broken")
	s := script{take: []int{4, 0, 0, 4}, err: broken}
	w := NewWriter(&s)
	x, err := w.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := x.Write([]byte("foo")); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := x.Write([]byte("bar")); n != 0 || !errors.Is(err, broken) {
		t.Errorf("%d, %v", n, err)
	}
	if err := x.Close(); !errors.Is(err, broken) {
		t.Errorf("Close: %v", err)
	}
	if err := x.Close(); err != nil || s.String() != "\x07foo\x00" {
		t.Errorf("Close, repeated: %v, %q", err, s.String())
	}
	x, err = w.Begin()
	if err != nil {
		t.Fatal(err)
	}
	s.take = []int{3}
	if n, err := x.Write([]byte("quux")); n != 2 || !errors.Is(err, broken) {
		t.Errorf("%d, %v", n, err)
	}
	for range 2 {
		if err := x.Close(); !errors.Is(err, broken) {
			t.Errorf("Close: %v", err)
		}
	}
	if err := w.WriteRecord(nil); !errors.Is(err, broken) {
		t.Errorf("WriteRecord: %v", err)
	}
}

func BenchmarkWriteRecord(b *testing.B) {
	w := NewWriter(io.Discard)
	p := make([]byte, 128)
	b.ReportAllocs()
	b.SetBytes(128)
	for b.Loop() {
		_ = w.WriteRecord(p)
	}
}
