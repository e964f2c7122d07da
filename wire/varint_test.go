package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"
	"testing/iotest"
)

func TestReadUvarint(t *testing.T) {
	bad := &SyntaxError{Reason: BadVarint}
	for _, test := range []struct {
		in    string
		limit uint64
		want  uint64
		err   error
	}{
		{"\x00", 0, 0, nil},
		{"\x7f", math.MaxUint64, 127, nil},
		{"\x80\x01", math.MaxUint64, 128, nil},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", math.MaxUint64, math.MaxUint64, nil},
		{"\x80\x01", 127, 0, &SyntaxError{Reason: TooLarge}},
		{"\x80\x00", math.MaxUint64, 0, bad},                                     // 0 in two bytes
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", math.MaxUint64, 0, bad},     // 2^64 and more
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80", math.MaxUint64, 0, bad},     // an eleventh byte to come
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", math.MaxUint64, 0, bad}, // eleven bytes
		{"", math.MaxUint64, 0, io.EOF},
		{"\x80", math.MaxUint64, 0, io.ErrUnexpectedEOF},
	} {
		got, err := ReadUvarint(bytes.NewReader([]byte(test.in)), test.limit)
		if got != test.want || !sameError(err, test.err) {
			t.Errorf("%x up to %d: %d, %v; want %d, %v", test.in, test.limit, got, err, test.want, test.err)
		}
		if v, n := varint([]byte(test.in)); test.limit == math.MaxUint64 {
			if ok := n > 0; ok != (test.err == nil) || v != test.want || (n == 0) != (errors.Is(test.err, io.EOF) || errors.Is(test.err, io.ErrUnexpectedEOF)) {
				t.Errorf("varint(%x) = %d, %d; want %d, %v", test.in, v, n, test.want, test.err)
			}
		}
	}
}

// sameError reports whether err is want, or a SyntaxError with the same reason.
func sameError(err, want error) bool {
	var a, b *SyntaxError
	if errors.As(err, &a) && errors.As(want, &b) {
		return a.Reason == b.Reason
	}
	return errors.Is(err, want)
}

// The errors of the reader itself are not taken for the peer's.
func TestReadUvarintReaderError(t *testing.T) {
	broken := errors.New("broken")
	r := byteReader{io.MultiReader(bytes.NewReader([]byte{0x80}), iotest.ErrReader(broken))}
	if _, err := ReadUvarint(r, math.MaxUint64); !errors.Is(err, broken) {
		t.Errorf("error %v, want the reader's", err)
	}
}

// byteReader reads single bytes from a reader that offers no other way.
type byteReader struct{ io.Reader }

func (r byteReader) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(r.Reader, b[:])
	return b[0], err
}

func FuzzVarint(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{0x80, 0})
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, n := varint(b)
		if n > 0 && !bytes.Equal(binary.AppendUvarint(nil, v), b[:n]) {
			t.Fatalf("%x accepted as %d, which encodes otherwise", b[:n], v)
		}
		r := bytes.NewReader(b)
		if got, err := ReadUvarint(r, math.MaxUint64); (err == nil) != (n > 0) || got != v || err == nil && r.Len() != len(b)-n {
			t.Fatalf("%x: varint says %d, %d; ReadUvarint %d, %v", b, v, n, got, err)
		}
	})
}
