package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

// SV4: an entry at its limits is taken, and its bytes are these.
func TestService(t *testing.T) {
	m := &Service{Name: "db", Protocol: "sql", Description: "é"}
	want, _ := hex.DecodeString(
		"0a02" + "6462" + // name "db"
			"1203" + "73716c" + // protocol "sql"
			"1a02" + "c3a9") // description "é"
	b, err := AppendService([]byte("x"), m)
	if err != nil || !bytes.Equal(b[1:], want) {
		t.Fatalf("got %x, %v", b, err)
	}
	got, err := ParseService(append(want, 0x22, 0x01, 0x00)) // and a field of a later version
	if err != nil || !proto.Equal(got, m) {
		t.Errorf("got %v, %v", got, err)
	}
	name := strings.Repeat("n", MaxServiceName)
	if b, err = AppendService(nil, &Service{Name: name, Protocol: name, Description: strings.Repeat("d", MaxServiceDescription)}); err != nil {
		t.Fatal(err)
	}
	if len(b)*2 != MaxService {
		t.Errorf("the longest entry has %d bytes, MaxService is %d", len(b), MaxService)
	}
	if _, err := ParseService(b); err != nil {
		t.Error(err)
	}
}

// SV4: what is outside the limits is refused in both directions.
func TestServiceLimits(t *testing.T) {
	long := strings.Repeat("n", MaxServiceName+1)
	for field, m := range map[string]*Service{
		"name":        {Protocol: "p"},
		"protocol":    {Name: "n", Protocol: long},
		"description": {Name: "n", Protocol: "p", Description: strings.Repeat("d", MaxServiceDescription+1)},
	} {
		b := []byte("before")
		b, err := AppendService(b, m)
		var value *ValueError
		if !errors.As(err, &value) || value.Field != field || string(b) != "before" {
			t.Errorf("%s: append: %q, %v", field, b, err)
		}
		raw, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var syntax *SyntaxError
		if _, err := ParseService(raw); !errors.As(err, &syntax) || syntax.Field != field {
			t.Errorf("%s: parse: %v", field, err)
		}
	}
	for name, b := range map[string][]byte{
		"not UTF-8":    {0x0a, 1, 0xff, 0x12, 1, 'p'},
		"cut":          {0x0a, 2, 'n'},
		"endless tail": append([]byte{0x0a, 1, 'n', 0x12, 1, 'p'}, bytes.Repeat([]byte{0x20, 1}, MaxService/2)...),
	} {
		if m, err := ParseService(b); err == nil {
			t.Errorf("%s: taken as %v", name, m)
		}
	}
	if _, err := AppendService(nil, &Service{Name: "n\xff", Protocol: "p"}); err == nil {
		t.Error("appended a name that is not UTF-8")
	}
}

func FuzzService(f *testing.F) {
	f.Add([]byte("\x0a\x02db\x12\x03sql\x1a\x02\xc3\xa9"))
	f.Add([]byte("\x0a\x01n\x12\x01p"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseService(b)
		if err != nil {
			checkReadError(t, err)
			return
		}
		again, err := AppendService(nil, m)
		if err != nil {
			t.Fatalf("accepted %v, but cannot encode it: %v", m, err)
		}
		if m2, err := ParseService(again); err != nil || !proto.Equal(m, m2) {
			t.Fatalf("%v became %v, %v", m, m2, err)
		}
	})
}
