package peer

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

// testKey returns a key that is the same in every run.
func testKey(t testing.TB, n byte) *Key {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	k, err := KeyFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The public keys of RFC 8032 §7.1, tests 1 to 3, and their texts, computed by
// treating the key as one big number.
var idVectors = []struct{ hex, text string }{
	{"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "47pjoycnsrfmxikm95jh13y88e8qnhzu5kungjpxyepgt7a8krpy"},
	{"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "8iybxo9eeqriirizbkuw4g56z1qjomgxf5njpdgy3ik9nkzwcagy"},
	{"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "9teh5dundno48dprx5eyrc8omyrbp5euze3o8mn77qetk1rooy1o"},
}

// I1: the id is the key, printed in z-base-32.
func TestIDVectors(t *testing.T) { // ID1
	for _, v := range idVectors {
		raw := unhex(t, v.hex)
		id, err := IDFromPublicKey(raw)
		if err != nil {
			t.Fatalf("IDFromPublicKey(%s): %v", v.hex, err)
		}
		if got := id.String(); got != v.text {
			t.Errorf("String of %s = %s, want %s", v.hex, got, v.text)
		}
		if got := id.Short(); got != v.text[:8] {
			t.Errorf("Short = %s, want %s", got, v.text[:8])
		}
		back, err := ParseID(v.text)
		if err != nil || back != id {
			t.Errorf("ParseID(%s) = %v, %v", v.text, back, err)
		}
		if !slices.Equal(back.PublicKey(), ed25519.PublicKey(raw)) {
			t.Errorf("PublicKey = %x, want %x", back.PublicKey(), raw)
		}
	}
}

// I1: one accepted text per key. Each refusal says what and where.
func TestParseIDRefuses(t *testing.T) { // ID1
	good := idVectors[0].text
	change := func(i int, c string) string { return good[:i] + c + good[i+1:] }
	last := strings.IndexByte(alphabet, good[51])
	tests := []struct{ name, in, want string }{
		{"empty", "", "0 characters, want 52"},
		{"short", good[:51], "51 characters"},
		{"long", good + "y", "53 characters"},
		{"the word for no peer", noPeer, "4 characters"},
		{"padding character", good + "=", "53 characters"},
		{"leading space", " " + good, "53 characters"},
		{"trailing newline", good + "\n", "53 characters"},
		{"huge", strings.Repeat("y", 1<<20), "1048576 characters"},
		{"upper case", change(4, strings.ToUpper(good[4:5])), "position 5 is upper case"},
		{"all upper case", strings.ToUpper(good), "position 3 is upper case"},
		{"letter outside the alphabet", change(9, "l"), "'l' at position 10 is not in"},
		{"upper case outside the alphabet", change(9, "L"), "'L' at position 10 is not in"},
		{"digit outside the alphabet", change(0, "0"), "'0' at position 1 is not in"},
		{"white space inside", change(30, " "), "' ' at position 31 is not in"},
		{"NUL", change(51, "\x00"), `'\x00' at position 52 is not in`},
		{"terminal escape", change(3, "\x1b"), `'\x1b' at position 4`},
		{"52 characters, not bytes", change(3, "а"), `'\u0430' at position 4`},
		{"52 bytes, not characters", change(3, "а")[:52], "51 characters"},
		{"invalid UTF-8", change(7, "\xff"), `'\ufffd' at position 8`},
		{"padding bits", change(51, alphabet[last|1:last|1+1]), "which no 256-bit key ends in"},
		{"the zero id", strings.Repeat("y", 52), "small-order"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := ParseID(tt.in)
			if !errors.Is(err, ErrInvalidID) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("ParseID(%.60q) error %v, want %q", tt.in, err, tt.want)
			}
			if id != (ID{}) {
				t.Errorf("an id came with the error: %v", id)
			}
			if s := err.Error(); len(s) > 120 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("error text is long or not plain ASCII: %q", s)
			}
		})
	}
}

func TestIDFromPublicKeyRefusesLengths(t *testing.T) {
	for _, n := range []int{0, 31, 33, 64} {
		if _, err := IDFromPublicKey(make([]byte, n)); !errors.Is(err, ErrInvalidID) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestPublicKeyIsACopy(t *testing.T) {
	id := testKey(t, 1).ID()
	id.PublicKey()[0] ^= 0xff
	if id != testKey(t, 1).ID() {
		t.Error("writing to PublicKey changed the id")
	}
}

func TestIDCompare(t *testing.T) {
	a, b := ID{0: 1}, ID{31: 1}
	if a.Compare(b) != 1 || b.Compare(a) != -1 || a.Compare(a) != 0 {
		t.Error("Compare does not order by bytes, most significant first")
	}
}

// An absent peer survives encoding, and prints as a word.
func TestZeroID(t *testing.T) {
	var id ID
	if !id.IsZero() || id.String() != "none" || id.Short() != "none" {
		t.Errorf("zero id prints %q, %q", id, id.Short())
	}
	b, err := id.MarshalText()
	if err != nil || len(b) != 0 {
		t.Errorf("MarshalText = %q, %v", b, err)
	}
	id = testKey(t, 1).ID()
	if err := id.UnmarshalText(nil); err != nil || !id.IsZero() {
		t.Errorf("UnmarshalText of nothing = %v, %v", id, err)
	}
}

// An ID works where programs put values: JSON (also as a map key), flags, slog, fmt.
func TestIDEncodings(t *testing.T) {
	id := testKey(t, 1).ID()

	type config struct {
		Peer  ID
		Names map[ID]string
	}
	in := config{Peer: id, Names: map[ID]string{id: "ann"}}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`{"Peer":"%s","Names":{"%s":"ann"}}`, id, id); string(b) != want {
		t.Errorf("JSON %s, want %s", b, want)
	}
	var out config
	if err := json.Unmarshal(b, &out); err != nil || out.Peer != id || out.Names[id] != "ann" {
		t.Errorf("JSON read back as %v, %v", out, err)
	}

	kept := out.Peer
	if err := json.Unmarshal([]byte(`{"Peer":"nonsense"}`), &out); !errors.Is(err, ErrInvalidID) || out.Peer != kept {
		t.Errorf("bad JSON: %v, id now %v", err, out.Peer)
	}

	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	var flagged ID
	fs.TextVar(&flagged, "peer", ID{}, "")
	if err := fs.Parse([]string{"-peer", id.String()}); err != nil || flagged != id {
		t.Errorf("flag = %v, %v", flagged, err)
	}

	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("up", "peer", id)
	if !strings.Contains(log.String(), "peer="+id.String()) {
		t.Errorf("slog wrote %s", &log)
	}
	for _, verb := range []string{"%v", "%s", "%+v"} {
		if got := fmt.Sprintf(verb, id); got != id.String() {
			t.Errorf("%s prints %s", verb, got)
		}
	}
	if b, err := id.AppendText([]byte("id ")); err != nil || string(b) != "id "+id.String() {
		t.Errorf("AppendText = %q, %v", b, err)
	}
}

// What is accepted has exactly one spelling.
func FuzzParseID(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			if !errors.Is(err, ErrInvalidID) || len(err.Error()) > 120 {
				t.Fatalf("error %q", err)
			}
			return
		}
		if id.String() != s {
			t.Fatalf("%q accepted, but prints as %q", s, id)
		}
		if back, err := IDFromPublicKey(id.PublicKey()); err != nil || back != id {
			t.Fatalf("%q accepted as text, not as key: %v", s, err)
		}
	})
}

func BenchmarkIDString(b *testing.B) {
	id := testKey(b, 1).ID()
	b.ReportAllocs()
	for b.Loop() {
		_ = id.String()
	}
}

func BenchmarkIDAppendText(b *testing.B) {
	id := testKey(b, 1).ID()
	buf := make([]byte, 0, idTextLen)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = id.AppendText(buf)
	}
}

func BenchmarkParseID(b *testing.B) {
	s := testKey(b, 1).ID().String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseID(s); err != nil {
			b.Fatal(err)
		}
	}
}
