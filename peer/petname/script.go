package petname

import "unicode"

// scriptMixes are the scripts that are written together in some language, the
// "highly restrictive" level of UTS #39 §5.2.
var scriptMixes = [][]string{
	{"Latin", "Han", "Hiragana", "Katakana"}, // Japanese
	{"Latin", "Han", "Bopomofo"},             // Chinese
	{"Latin", "Han", "Hangul"},               // Korean
}

// MixedScript reports whether name mixes scripts that no language writes
// together, as "pаypal" with a Cyrillic а does. Such a name is legal and may be
// honest; a program should mark it. Digits, punctuation and other characters of no script mix
// with all.
func MixedScript(name string) bool {
	scripts := make(map[string]bool)
	for _, r := range name {
		if unicode.In(r, unicode.Common, unicode.Inherited) {
			continue
		}
		if s := scriptOf(r); s != "" {
			scripts[s] = true
		}
	}
	if len(scripts) < 2 {
		return false
	}
	for _, mix := range scriptMixes {
		known := 0
		for _, s := range mix {
			if scripts[s] {
				known++
			}
		}
		if known == len(scripts) {
			return false
		}
	}
	return true
}

// scriptOf returns the name of r's script; a character has one at most.
func scriptOf(r rune) string {
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return ""
}
