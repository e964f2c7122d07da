package wire

import (
	"crypto/ed25519"
	"math"
	"strings"
	"testing"

	"parley/peer"
)

// testPeer is the id of the key whose seed is 32 times the byte seed.
func testPeer(t testing.TB, seed byte) peer.ID {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize)))
	id, err := peer.IDFromPublicKey(key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestMessageIDText(t *testing.T) {
	sender := testPeer(t, 1)
	for _, test := range []struct {
		id   MessageID
		text string // after the sender
	}{
		{MessageID{sender, 1, 1}, "/0000000000000001/1"},
		{MessageID{sender, 0x0123456789abcdef, 42}, "/0123456789abcdef/42"},
		{MessageID{sender, math.MaxUint64, math.MaxUint64}, "/ffffffffffffffff/18446744073709551615"},
	} {
		text := sender.String() + test.text
		if got := test.id.String(); got != text {
			t.Errorf("%+v prints as %q, want %q", test.id, got, text)
		}
		if got, err := ParseMessageID(text); err != nil || got != test.id {
			t.Errorf("%q read as %+v, %v", text, got, err)
		}
	}
}

// One text for each id: everything that comes close is refused.
func TestParseMessageIDStrict(t *testing.T) { // EN4
	sender := testPeer(t, 1).String()
	for _, s := range []string{
		"", "/", "//",
		sender, sender + "/0000000000000001", sender + "/0000000000000001/",
		"/0000000000000001/1",
		sender[1:] + "/0000000000000001/1",
		strings.ToUpper(sender) + "/0000000000000001/1",
		sender + "/0000000000000000/1",
		sender + "/0000000000000001/0",
		sender + "/0000000000000001/01",
		sender + "/0000000000000001/+1",
		sender + "/0000000000000001/-1",
		sender + "/0000000000000001/1_0",
		sender + "/0000000000000001/0x1",
		sender + "/0000000000000001/1 ",
		sender + "/0000000000000001/1/",
		sender + "/0000000000000001/18446744073709551616",
		sender + "/000000000000000A/1",
		sender + "/000000000000000g/1",
		sender + "/000000000000001/1",
		sender + "/00000000000000001/1",
		sender + "/1/1",
		" " + sender + "/0000000000000001/1",
	} {
		if id, err := ParseMessageID(s); err == nil {
			t.Errorf("%q accepted as %v", s, id)
		} else if id != (MessageID{}) {
			t.Errorf("%q refused, but gives %v", s, id)
		}
	}
}

func TestMessageIDIsZero(t *testing.T) {
	if !(MessageID{}).IsZero() || (MessageID{Seq: 1}).IsZero() {
		t.Error("IsZero is true for something or false for nothing")
	}
}

func FuzzMessageID(f *testing.F) {
	sender := testPeer(f, 1).String()
	f.Add("")
	f.Add(sender + "/0123456789abcdef/42")
	f.Add(sender + "/0123456789ABCDEF/42")
	f.Add(sender + "/0000000000000001/18446744073709551615")
	f.Add(sender + "/0000000000000001/01")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseMessageID(s)
		switch {
		case err == nil && id.String() != s:
			t.Fatalf("%q accepted as %q", s, id)
		case err != nil && id != MessageID{}:
			t.Fatalf("%q refused with %v, but gives %v", s, err, id)
		}
	})
}
