package petname

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of names.
const (
	// MaxLen is the most code points a petname has.
	MaxLen = 64
	// MaxSuggestion is the most code points [Suggest] returns.
	MaxSuggestion = 32
	// maxMarks is the most marks stacked on one character: no language needs
	// more (UTS #39 §5.4), and taller stacks draw over the lines around them.
	maxMarks = 4
	// maxNick is how many bytes of a nickname are looked at.
	maxNick = 1 << 10
	// idLen is the length of a peer id's text.
	idLen = 52
	// noPeer is how a peer.ID that names nobody prints.
	noPeer = "none"
)

// ErrInvalid is wrapped by every error of [Check].
var ErrInvalid = errors.New("invalid petname")

// Check returns nil if name may be a petname. It has 1 to [MaxLen] code points in
// Unicode's normalization form C; no white space, so that names can be told
// apart in a line of text; nothing invisible, no control, bidirectional or other format
// characters; none of = @ / " \, which delimit names; it does not begin with - as
// an option does, nor with a combining mark; it has no stack of more than four marks; and it
// cannot be taken for a peer id or for "none". Upper and lower case, all scripts and
// single emoji are fine.
//
// The error wraps [ErrInvalid]; it is one line of ASCII that says what is wrong
// and where, counting characters from 1. Whether the name looks like another is
// for [Confusable] to say.
func Check(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", ErrInvalid)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: it is not UTF-8", ErrInvalid)
	case name[0] == '-':
		return fmt.Errorf("%w: it begins with - as an option does", ErrInvalid)
	case name == noPeer:
		return fmt.Errorf("%w: %q means no peer", ErrInvalid, noPeer)
	case looksLikeID(name):
		return fmt.Errorf("%w: it looks like a peer id", ErrInvalid)
	}
	if n := utf8.RuneCountInString(name); n > MaxLen {
		return fmt.Errorf("%w: %d characters, at most %d are allowed", ErrInvalid, n, MaxLen)
	}
	pos, marks := 0, 0
	for _, r := range name {
		pos++
		if why := runeProblem(r); why != "" {
			return fmt.Errorf("%w: character %d (%U) is %s", ErrInvalid, pos, r, why)
		}
		if pos == 1 && unicode.Is(unicode.M, r) {
			return fmt.Errorf("%w: it begins with a combining mark (%U)", ErrInvalid, r)
		}
		if !stacking(r) {
			marks = 0
		} else if marks++; marks > maxMarks {
			return fmt.Errorf("%w: more than %d combining marks in a row at character %d", ErrInvalid, maxMarks, pos)
		}
	}
	if !norm.NFC.IsNormalString(name) {
		return fmt.Errorf("%w: it is not in Unicode normalization form C", ErrInvalid)
	}
	return nil
}

// looksLikeID reports whether name has the length and kind of characters of a peer
// id's text, mistyped ones included.
func looksLikeID(name string) bool {
	return len(name) == idLen && strings.IndexFunc(name, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}) < 0
}

// Suggest returns what can be shown of nick, a nickname that a peer gave itself:
// at most [MaxSuggestion] code points that pass [Check], or "" if nothing is left.
// Terminal escapes, bidirectional controls and whatever else Check refuses are
// dropped, and each run of white space becomes one hyphen. The result is fit to be shown and to be
// proposed to the user as a petname, and nothing more: it is still only a claim.
//
// nick may be of any length and need not be UTF-8; the first KiB is looked at.
func Suggest(nick string) string {
	nick = norm.NFC.String(strings.ToValidUTF8(nick[:min(len(nick), maxNick)], ""))
	var kept strings.Builder
	space := false
	for _, r := range nick {
		if unicode.IsSpace(r) || unicode.Is(unicode.Z, r) {
			space = true
			continue
		}
		first := kept.Len() == 0
		if runeProblem(r) != "" || first && (r == '-' || unicode.Is(unicode.M, r)) {
			continue
		}
		if space && !first {
			kept.WriteByte('-')
		}
		space = false
		kept.WriteRune(r)
	}
	// Characters that met only because others were dropped may compose.
	name := firstRunes(limitMarks(norm.NFC.String(kept.String())), MaxSuggestion)
	name = strings.TrimRight(name, "-")
	if Check(name) != nil {
		return ""
	}
	return name
}

// limitMarks drops the marks of a stack beyond maxMarks.
func limitMarks(s string) string {
	marks := 0
	return strings.Map(func(r rune) rune {
		if !stacking(r) {
			marks = 0
			return r
		}
		if marks++; marks > maxMarks {
			return -1
		}
		return r
	}, s)
}

// firstRunes returns the first n code points of s.
func firstRunes(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}
