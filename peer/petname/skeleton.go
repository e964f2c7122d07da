package petname

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxRounds bounds the loop of Skeleton. No character of Unicode 15
// needs more than three rounds; a test counts them.
const maxRounds = 8

// ours are look-alikes that Unicode's table leaves out, because case makes them so
// or because it is made for identifiers. The table maps I, 1 and | to l; with i here too,
// ALICE, alice and aIice meet. It maps m to rn but has no like for w.
var ours = map[rune]string{'i': "l", 'w': "vv"}

// Skeleton returns a text that is the same for all names that look like name,
// upper and lower case taken together. It is an index key: it may look like
// nothing, is not a petname, and changes with the Unicode version, so store names and
// compute skeletons.
//
// It is the skeleton of UTS #39 §4 (canonical decomposition, invisible
// characters dropped, each character replaced by its prototype), with
// compatibility decomposition and case folding added and repeated until
// nothing changes. Characters are compared by what they show in left-to-right
// text; names that only reordering by a right-to-left script makes alike are not
// found.
//
// Two names with one skeleton are [Confusable]; the reverse does not always
// hold.
func Skeleton(name string) string {
	s := norm.NFD.String(name)
	for range maxRounds {
		next := round(s)
		if next == s {
			break
		}
		s = next
	}
	return s
}

// round is one step of Skeleton on canonically decomposed text.
func round(s string) string {
	return norm.NFD.String(fold(norm.NFKD.String(prototype(s))))
}

// Confusable reports whether a user could take a for b: they look alike, or
// differ in case only. Equal names are confusable.
func Confusable(a, b string) bool {
	// Beside what the names look like, compare what they look like in lower
	// case: of many Greek and Cyrillic letters only one of the cases resembles a
	// Latin one, so that the first comparison keeps their two cases apart.
	return Skeleton(a) == Skeleton(b) || Skeleton(fold(a)) == Skeleton(fold(b))
}

// prototype replaces each character of s by what it looks like.
func prototype(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		if ignorable(r) {
			continue
		}
		if like, ok := ours[r]; ok {
			b.WriteString(like)
		} else if i, ok := slices.BinarySearch(confusableSources[:], r); ok {
			b.WriteString(target(i))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// target returns the prototype of the i-th source of the table.
func target(i int) string {
	t := confusableTarget[i]
	begin := uint16(0)
	if t > 0 {
		begin = prototypeEnd[t-1]
	}
	return prototypes[begin:prototypeEnd[t]]
}

// fold maps the cases of each character to one.
func fold(s string) string {
	return strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, s)
}
