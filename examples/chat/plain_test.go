package main

import (
	"bufio"
	"slices"
	"strings"
	"testing"
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

func TestListing(t *testing.T) {
	for n, want := range map[int]string{0: "h:1", 1: "h:1, 1 line waits", 2: "h:1, 2 lines wait"} {
		if got := listing(listed{testBob, stateUp, n, "h:1"}); !strings.HasSuffix(got, want) {
			t.Errorf("%d waiting: %q", n, got)
		}
	}
}
