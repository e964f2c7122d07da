package main

import (
	"bufio"
	"slices"
	"strings"
	"testing"

	"parley/dispatch/dispatchtest"
)

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", 100)
	for in, want := range map[string][]string{
		"":                             nil,
		"\n":                           {""},
		"a\n\nb":                       {"a", "", "b"},
		"a\n" + long + "\nb\n":         {"a", "long", "b"},
		long:                           {"long"},
		strings.Repeat("x", 16):        {"long"}, // as long as the buffer, without an end
		strings.Repeat("x", 15):        {strings.Repeat("x", 15)},
		strings.Repeat("x", 15) + "\n": {strings.Repeat("x", 15)},
	} {
		r := bufio.NewReaderSize(strings.NewReader(in), 16)
		var got []string
		for {
			text, long, err := readLine(r)
			if err != nil {
				break
			}
			if long {
				text = "long"
			}
			got = append(got, text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
}

// TestShortIDs: ids that begin alike are shown at greater length, and a petname is not
// taken for an id.
func TestShortIDs(t *testing.T) {
	a, b := dispatchtest.ID(1), dispatchtest.ID(1)
	b[31] ^= 1 // the last byte: the texts differ at their end
	r := newRoom(t.Context(), &recorder{}, &book{}, nil)
	r.expect(a, false)
	if got := r.short(a); got != a.Short() {
		t.Errorf("alone it is %s", got)
	}
	if err := r.book.add(a.Short(), dispatchtest.ID(2), "", false); err != nil {
		t.Fatal(err)
	}
	if got := r.short(a); got != a.String()[:9] {
		t.Errorf("beside a petname like it, it is %s", got)
	}
	r.expect(b, false)
	x, y := r.short(a), r.short(b)
	if x == y || !strings.HasPrefix(a.String(), x) || len(x) < 49 {
		t.Errorf("beside each other they are %s and %s", x, y)
	}
}
