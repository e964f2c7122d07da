package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes text from elsewhere fit to be shown: exactly one line, nothing that
// a terminal obeys, nothing that reorders the text around it. What it replaces
// stays visible as a symbol, so that nobody wonders what is missing.
func clean(s string) string {
	if strings.IndexFunc(s, unsafeToShow) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(visible(r))
	}
	return b.String()
}

func unsafeToShow(r rune) bool { return visible(r) != r || r == utf8.RuneError }

// visible returns what to show for r, mostly r itself.
func visible(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case r < ' ':
		return '\u2400' + r // SYMBOL FOR NULL and so on
	case r == 0x7f:
		return '\u2421' // SYMBOL FOR DELETE
	case unicode.Is(unicode.Cc, r), // C1: an 8-bit CSI among them
		r == '\u2028', r == '\u2029', // line and paragraph separator
		r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069': // embeddings, overrides, isolates
		return utf8.RuneError
	}
	return r
}

// oneLine makes an error fit for a line of its own.
func oneLine(err error) string { return clean(strings.ReplaceAll(err.Error(), "\n", "; ")) }
