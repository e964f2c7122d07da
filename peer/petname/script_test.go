package petname

import "testing"

// T22: mixed scripts are flagged, except where a language writes them together.
//
//nolint:gosmopolitan // names in many scripts are the point
func TestMixedScript(t *testing.T) {
	for name, want := range map[string]bool{
		"":            false,
		"ann":         false,
		"Zoë-2":       false,
		"123-_":       false,
		"Наталья7":    false,
		"Ελένη":       false,
		"山田たろう":       false,
		"山田タロー":       false,
		"sony山田たろう":   false,
		"김민준Kim":      false,
		"漢ㄅa":         false,
		"🦊ann":        false,
		"pаypal":      true, // Cyrillic а
		"Ρaul":        true, // Greek Ρ
		"aոոa":        true, // Armenian ո
		"Нелеn":       true,
		"たろう김":        true, // Japanese and Korean
		"山Я":          true,
		"a\u0301ннa":  true,
		"e\u0301cole": false, // a mark belongs to what it is on
	} {
		if got := MixedScript(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
