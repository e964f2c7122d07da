package petname

import (
	"testing"
	"unicode"
)

// The count of Default_Ignorable_Code_Point in DerivedCoreProperties.txt of
// Unicode 15.0.0, by which the derivation in ignorable is known to be whole.
const defaultIgnorable15 = 4174

func TestIgnorable(t *testing.T) {
	if unicode.Version != "15.0.0" {
		t.Skip("the count is that of Unicode 15.0.0; Go has ", unicode.Version)
	}
	n := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if ignorable(r) {
			n++
		}
	}
	if n != defaultIgnorable15 {
		t.Errorf("%d characters, want %d", n, defaultIgnorable15)
	}
}
