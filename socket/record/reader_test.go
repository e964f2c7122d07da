package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"parley/wire"
)

// one returns a record in one chunk.
func one(p []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(p))<<1), p...)
}

// B6, RC5: a record above the limit is an error of its own, and the next record is
// readable, whether the size was announced or grew chunk by chunk.
func TestTooLarge(t *testing.T) {
	big := make([]byte, 101)
	for name, in := range map[string][]byte{
		"announced": one(big),
		"grown":     append(append(binary.AppendUvarint(nil, 60<<1|1), big[:60]...), one(big[:41])...),
		"endless":   append(append(binary.AppendUvarint(nil, 101<<1|1), big...), 0),
	} {
		in = append(in, one([]byte("next"))...)
		r := NewReader(iotest.OneByteReader(bytes.NewReader(in)), Limits{Record: 100})
		p, err := r.ReadRecord([]byte("mine"))
		var tooLarge *TooLargeError
		if !errors.As(err, &tooLarge) || tooLarge.Limit != 100 || !tooLarge.TooLarge() || string(p) != "mine" {
			t.Errorf("%s: %q, %v; want a TooLargeError", name, p, err)
		}
		if p, err = r.ReadRecord(p); err != nil || string(p) != "minenext" {
			t.Errorf("%s: then %q, %v", name, p, err)
		}
		if p, err = r.ReadRecord(nil); !errors.Is(err, io.EOF) || p != nil {
			t.Errorf("%s: at the end %q, %v", name, p, err)
		}
	}
	exact := NewReader(bytes.NewReader(one(big[:100])), Limits{Record: 100})
	if p, err := exact.ReadRecord(nil); err != nil || len(p) != 100 {
		t.Errorf("at the limit: %d bytes, %v", len(p), err)
	}
	none := NewReader(bytes.NewReader(one(make([]byte, DefaultRecord+1))), Limits{Record: -1})
	if p, err := none.ReadRecord(nil); err != nil || len(p) != DefaultRecord+1 {
		t.Errorf("without a limit: %d bytes, %v", len(p), err)
	}
}

// RC5: memory follows the bytes that arrive (T14).
func TestMemory(t *testing.T) {
	head := binary.AppendUvarint(nil, 1<<62)
	for _, arrived := range []int{0, 1, 10_000, 1 << 20} {
		in := append(bytes.Clone(head), make([]byte, arrived)...)
		p, err := NewReader(bytes.NewReader(in), Limits{Record: -1}).ReadRecord(nil)
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(p) != arrived {
			t.Fatalf("%d bytes, %v; want %d", len(p), err, arrived)
		}
		if cap(p) > 2*arrived+step {
			t.Errorf("%d bytes arrived, %d reserved", arrived, cap(p))
		}
	}
	long := one(make([]byte, 1<<20))
	if n := testing.AllocsPerRun(3, func() {
		if _, err := NewReader(bytes.NewReader(long), Limits{}).ReadRecord(nil); err != nil {
			t.Error(err)
		}
	}); n > 20 {
		t.Errorf("%v allocations for a megabyte", n) // it is copied as often
	}
}

// B6: a record is read bit by bit, whatever its size, and what is left of it is
// skipped.
func TestNext(t *testing.T) {
	in := append([]byte{7, 'f', 'o', 'o', 6, 'b', 'a', 'r'}, append(one([]byte("second")), one([]byte("third"))...)...)
	r := NewReader(bytes.NewReader(in), Limits{Record: 1}) // Next has no limit
	first, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(first); err != nil || string(b) != "foobar" {
		t.Errorf("first: %q, %v", b, err)
	}
	second, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	var two [2]byte
	if n, err := second.Read(two[:]); n != 2 || err != nil {
		t.Errorf("second: %d, %v", n, err)
	}
	third, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := second.Read(two[:]); n != 0 || !errors.Is(err, errStale) {
		t.Errorf("second, when the third was asked for: %d, %v", n, err)
	}
	if n, err := first.Read(two[:]); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("first, again: %d, %v", n, err)
	}
	if b, err := io.ReadAll(third); err != nil || string(b) != "third" {
		t.Errorf("third: %q, %v", b, err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// RC4: the end of the stream within a record is no end of a record, for any way of
// reading or skipping it.
func TestUnexpectedEOF(t *testing.T) {
	whole := []byte{7, 'f', 'o', 'o', 0x80, 1}
	whole = append(whole, make([]byte, 64)...)
	for cut := 1; cut < len(whole); cut++ {
		in := whole[:cut]
		if _, err := NewReader(bytes.NewReader(in), Limits{}).ReadRecord(nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: ReadRecord: %v", cut, err)
		}
		r := NewReader(bytes.NewReader(in), Limits{Record: 1})
		x, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, x); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: Next: %v", cut, err)
		}
		if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: skip: %v", cut, err)
		}
	}
}

// RC6: what breaks the protocol does so for ever: whatever comes next is not taken for
// a record.
func TestSyntaxErrorStays(t *testing.T) {
	r := NewReader(bytes.NewReader([]byte{7, 'f', 'o', 'o', 1, 2, 'a', 2, 'b'}), Limits{})
	for range 3 {
		p, err := r.ReadRecord([]byte("mine"))
		var syntax *wire.SyntaxError
		if !errors.As(err, &syntax) || syntax.Reason != wire.ZeroField || string(p) != "mine" {
			t.Errorf("%q, %v", p, err)
		}
		if p, err = r.ReadRecord(p); !errors.As(err, &syntax) || string(p) != "mine" {
			t.Errorf("again: %q, %v", p, err)
		}
		if _, err := r.Next(); !errors.As(err, &syntax) {
			t.Errorf("Next: %v", err)
		}
		if n, size := r.Pending(); n != 0 || size != 0 {
			t.Errorf("%d records of %d bytes pending", n, size)
		}
	}
}

// B6: Pending counts what can be read without blocking: all of it, and no more.
func TestPending(t *testing.T) {
	in := append([]byte{7, 'f', 'o', 'o', 6, 'b', 'a', 'r', 0}, one([]byte("second"))...)
	in = append(in, one(make([]byte, 10_000))...)
	r := NewReader(bytes.NewReader(in), Limits{Buffer: 100})
	check := func(when string, records, size int) {
		t.Helper()
		if n, s := r.Pending(); n != records || s != size {
			t.Errorf("%s: %d records of %d bytes pending, want %d of %d", when, n, s, records, size)
		}
	}
	check("before anything is read", 0, 0)
	x, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	check("within the first", 2, 6)
	if _, err := io.ReadFull(x, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	check("in its second chunk", 2, 6)
	if p, err := r.ReadRecord(nil); err != nil || len(p) != 0 {
		t.Fatal(p, err)
	}
	check("after the empty one", 1, 6)
	if _, err := r.ReadRecord(nil); err != nil {
		t.Fatal(err)
	}
	check("before one above the buffer", 0, 0)
}

// RC6: whatever way a stream is cut up and interrupted, every record comes whole and
// in order, and Pending keeps its word.
func TestRoughStream(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		var want [][]byte
		var stream bytes.Buffer
		w := NewWriter(&stream)
		for range 20 {
			p := make([]byte, random.IntN(1<<random.IntN(17)))
			for i := range p {
				p[i] = byte(random.Uint32())
			}
			want = append(want, p)
			writeSomehow(t, w, p, random)
		}
		readSomehow(t, want, &rough{b: stream.Bytes(), random: random, t: t})
	}
}

func readSomehow(t *testing.T, want [][]byte, in *rough) {
	random := in.random
	longest := 0
	for _, p := range want {
		longest = max(longest, len(p))
	}
	r := NewReader(in, Limits{Record: max(1, longest), Buffer: 16 + random.IntN(20_000)})
	sure := 0
	for i, p := range want {
		if sure == 0 {
			n, size := r.Pending()
			for _, q := range want[i:min(len(want), i+n)] {
				size -= len(q)
			}
			if n > len(want)-i || size != 0 {
				t.Fatalf("%d records pending of %d, %d bytes too many", n, len(want)-i, size)
			}
			sure = n
		}
		in.shut = sure > 0
		var got []byte
		var err error
		switch random.IntN(3) {
		case 0:
			for got, err = r.ReadRecord(nil); errors.Is(err, errPause); {
				got, err = r.ReadRecord(got)
			}
		case 1:
			got, err = readPieces(t, r, len(p)+1)
		default:
			if _, err = readPieces(t, r, random.IntN(len(p)+1)); err == nil {
				got = p // the rest is skipped
			}
			sure = min(sure, 1) // skipping reads on
		}
		sure = max(0, sure-1)
		in.shut = false
		if err != nil || !bytes.Equal(got, p) {
			t.Fatalf("record %d: %d bytes, %v; want %d", i, len(got), err, len(p))
		}
	}
	for {
		if _, err := r.ReadRecord(nil); errors.Is(err, io.EOF) {
			return
		} else if !errors.Is(err, errPause) {
			t.Fatalf("at the end: %v", err)
		}
	}
}

// readPieces reads up to limit bytes of the next record.
func readPieces(t *testing.T, r *Reader, limit int) (got []byte, err error) {
	var x io.Reader
	for x, err = r.Next(); errors.Is(err, errPause); {
		x, err = r.Next()
	}
	if err != nil {
		return nil, err
	}
	piece := make([]byte, 700)
	for len(got) < limit {
		n, err := x.Read(piece[:min(len(piece), limit-len(got))])
		got = append(got, piece[:n]...)
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil && !errors.Is(err, errPause) {
			return got, err
		}
	}
	return got, nil
}

// RC1 to RC5: arbitrary bytes give what a second reading of the rules gives, the
// same at every limit of the buffer, and reserve no more than arrived.
func FuzzReader(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b, uint16(0))
		f.Add(b, uint16(17))
	}
	f.Fuzz(func(t *testing.T, b []byte, buffer uint16) {
		want, end := decode(b)
		if again := encode(t, want); !bytes.Equal(again, b[:len(again)]) {
			t.Fatalf("accepted %x, which encodes to %x", b, again)
		}
		r := NewReader(iotest.HalfReader(bytes.NewReader(b)), Limits{Record: -1, Buffer: int(buffer)})
		for i := 0; ; i++ {
			r.Pending()
			p, err := r.ReadRecord(nil)
			if cap(p) > 2*len(b)+step {
				t.Fatalf("%d bytes reserved for %d", cap(p), len(b))
			}
			if err != nil {
				if i != len(want) || !sameEnd(err, end) {
					t.Fatalf("record %d of %d: %v, want %v", i, len(want), err, end)
				}
				return
			}
			if !bytes.Equal(p, bytes.Join(want[i], nil)) {
				t.Fatalf("record %d: %x, want %x", i, p, want[i])
			}
		}
	})
}

// FuzzRoundTrip writes data in random records and pieces and reads it back from a
// stream that is cut up and interrupted at random.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("hello"), uint64(1))
	f.Add(make([]byte, 3*smallChunk), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 2))
		var want [][]byte
		var stream bytes.Buffer
		w := NewWriter(&stream)
		for len(data) > 0 {
			n := random.IntN(len(data) + 1)
			want = append(want, data[:n])
			writeSomehow(t, w, data[:n], random)
			data = data[n:]
		}
		readSomehow(t, want, &rough{b: stream.Bytes(), random: random, t: t})
	})
}

func BenchmarkReadRecord(b *testing.B) {
	stream := bytes.Repeat(one(make([]byte, 128)), 1000)
	in := bytes.NewReader(stream)
	r := NewReader(in, Limits{})
	var buf []byte
	b.ReportAllocs()
	b.SetBytes(128)
	for b.Loop() {
		var err error
		if buf, err = r.ReadRecord(buf[:0]); errors.Is(err, io.EOF) {
			in.Reset(stream)
		}
	}
}
