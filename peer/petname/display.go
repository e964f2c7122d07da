package petname

import (
	"slices"
	"unicode"
)

// blanks are characters that take room and show nothing although Unicode calls
// them symbols, letters or marks.
var blanks = []rune{
	0x2800,  // BRAILLE PATTERN BLANK
	0x16fe4, // KHITAN SMALL SCRIPT FILLER
	0x1d159, // MUSICAL SYMBOL NULL NOTEHEAD
	0x13441, // EGYPTIAN HIEROGLYPH FULL BLANK
	0x13442, // EGYPTIAN HIEROGLYPH HALF BLANK
}

// delimiters end a petname on a command line or around a quoted nickname.
const delimiters = `=@/"\`

// runeProblem returns why r may not be in a petname, or "". What is allowed is
// listed, not what is refused, so that whatever Unicode adds is refused until known.
func runeProblem(r rune) string {
	switch {
	case unicode.IsSpace(r) || unicode.Is(unicode.Z, r):
		return "white space"
	case ignorable(r) || unicode.In(r, unicode.Cc, unicode.Cf) || slices.Contains(blanks, r):
		return "an invisible, control or formatting character"
	case r == unicode.ReplacementChar || r == 0xfffc: // stand-ins for something lost
		return "a replacement character"
	case !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S):
		return "an unassigned or private character"
	case slices.Contains([]rune(delimiters), r):
		return "a delimiter"
	default:
		return ""
	}
}

// ignorable reports whether r is a Default_Ignorable_Code_Point: what a display
// that cannot render it shows as nothing. The derivation is that of Unicode's
// DerivedCoreProperties.txt.
func ignorable(r rune) bool {
	switch {
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return true
	case unicode.In(r, unicode.White_Space, unicode.Prepended_Concatenation_Mark),
		0xfff9 <= r && r <= 0xfffb,   // interlinear annotation
		0x13430 <= r && r <= 0x13440: // Egyptian hieroglyph joiners
		return false
	default:
		return unicode.Is(unicode.Cf, r)
	}
}

// stacking reports whether r is drawn over the character before it.
func stacking(r rune) bool { return unicode.In(r, unicode.Mn, unicode.Me) }
