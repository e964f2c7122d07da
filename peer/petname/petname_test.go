package petname

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"parley/peer"
)

//nolint:gosmopolitan // names in many scripts are the point
func TestCheckAccepts(t *testing.T) {
	for _, name := range []string{
		"a", "ann", "Ann", "ANN-2", "ann_lee", "o'neil", "ann.lee", "ann+work", "a-",
		"Zoë", "Łukasz", "İbrahim", "Ελένη", "Наталья", "Նարե", "שרה", "سارة", "नेहा", "สมชาย", "ནོར་བུ",
		"山田", "たろう", "김민준", "Nguyễn", "ŠĐČ", "🦊", "☂", "№5", "𝐚nn",
		"none-", "None", "yodelman", // eight letters of the id alphabet are a name
		strings.Repeat("é", MaxLen), strings.Repeat("🦊", MaxLen), strings.Repeat("y", idLen-1), strings.Repeat("y", idLen+1),
		"e\u0335\u0336\u0337\u0338", // four marks
	} {
		if err := Check(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	id := peer.ID{31: 1} // only its text matters here
	tests := []struct{ name, in, want string }{
		{"empty", "", "empty"},
		{"too long", strings.Repeat("é", MaxLen+1), "65 characters, at most 64"},
		{"not UTF-8", "a\xff", "UTF-8"},
		{"truncated UTF-8", "é"[:1], "UTF-8"},
		{"encoded surrogate", "\xed\xa0\x80", "UTF-8"},
		{"option", "-home", "option"},
		{"peer id", id.String(), "peer id"},
		{"peer id in upper case", strings.ToUpper(id.String()), "peer id"},
		{"mistyped peer id", "l" + id.String()[1:], "peer id"},
		{"the id of nobody", peer.ID{}.String(), "no peer"},
		{"equals sign", "a=b", "character 2 (U+003D) is a delimiter"},
		{"at sign", "a@b", "delimiter"},
		{"slash", "a/b", "delimiter"},
		{"quote", `a"b`, "delimiter"},
		{"backslash", `a\b`, "delimiter"},
		{"space before", " ann", "character 1 (U+0020) is white space"},
		{"space after", "ann ", "white space"},
		{"space inside", "ann lee", "white space"},
		{"tab", "a\tb", "white space"},
		{"newline", "a\nb", "white space"},
		{"no-break space", "a\u00a0b", "white space"},
		{"ideographic space", "a\u3000b", "white space"},
		{"line separator", "a\u2028b", "white space"},
		{"NUL", "a\x00", "control"},
		{"escape", "a\x1b[31m", "character 2 (U+001B)"},
		{"delete", "a\x7f", "control"},
		{"C1 control", "a\u009b31m", "control"},
		{"zero-width space", "a\u200bb", "invisible"},
		{"zero-width joiner", "a\u200db", "invisible"},
		{"zero-width no-break space", "\ufeffa", "invisible"},
		{"soft hyphen", "a\u00adb", "invisible"},
		{"word joiner", "a\u2060b", "invisible"},
		{"combining grapheme joiner", "a\u034fb", "invisible"},
		{"Hangul filler", "a\u3164b", "invisible"},
		{"halfwidth Hangul filler", "a\uffa0b", "invisible"},
		{"Khmer inherent vowel", "a\u17b4b", "invisible"},
		{"Mongolian variation selector", "a\u180bb", "invisible"},
		{"variation selector", "☂\ufe0f", "invisible"},
		{"tag character", "a\U000e0061b", "invisible"},
		{"Braille blank", "a\u2800b", "invisible"},
		{"null notehead", "a\U0001d159b", "invisible"},
		{"right-to-left override", "a\u202eb", "formatting"},
		{"right-to-left isolate", "a\u2067b", "formatting"},
		{"right-to-left mark", "a\u200fb", "formatting"},
		{"Arabic number sign", "a\u0600b", "formatting"},
		{"private use", "a\ue000b", "private"},
		{"non-character", "a\ufffeb", "unassigned"},
		{"unassigned", "a\u0378b", "unassigned"},
		{"replacement character", "a\ufffdb", "replacement"},
		{"object replacement", "a\ufffcb", "replacement"},
		{"mark first", "\u0301a", "combining mark"},
		{"spacing mark first", "\u0903a", "combining mark"},
		{"five marks", "e\u0335\u0336\u0337\u0338\u0321", "more than 4"},
		{"decomposed", "e\u0301", "normalization form C"},
		{"Kelvin sign", "\u212a", "normalization form C"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Check(tt.in)
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Check(%+q): %v, want %q", tt.in, err, tt.want)
			}
			if s := err.Error(); len(s) > 120 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("error text is long or not plain ASCII: %q", s)
			}
		})
	}
}

// I3: a nickname is untrusted text; nothing of it but plain characters gets out.
func TestSuggest(t *testing.T) {
	for in, want := range map[string]string{
		"ann":                                   "ann",
		"  Ann \t Lee \n":                       "Ann-Lee",
		"Ann\u00a0\u2003Lee":                    "Ann-Lee",
		"Zoe\u0308":                             "Zoë",
		"\x1b[31mann\x1b[0m":                    "[31mann[0m", // without the escape it is only text
		"\u009b31mann":                          "31mann",
		"ann\u202egnp.exe":                      "anngnp.exe",
		"a\u200bn\u200dn\ufeff":                 "ann",
		"e\u034f\u0301":                         "é", // composes only when what was between is gone
		"--home":                                "home",
		"- ann -":                               "ann",
		"\u0301ann":                             "ann",
		`ann" (verified) "`:                     "ann-(verified)",
		"ann=@/\\\"":                            "ann",
		"none":                                  "",
		"":                                      "",
		" \t\u200b":                             "",
		"\xff\xfeann\xed\xa0\x80":               "ann",
		"e\u0335\u0336\u0337\u0338\u0321\u0322": "e\u0335\u0336\u0337\u0338",
		"👩\u200d🚀":                              "👩🚀",
		strings.Repeat("é", 100):                strings.Repeat("é", MaxSuggestion),
		strings.Repeat("ab ", 100):              strings.Repeat("ab-", 10) + "ab",
		strings.Repeat("\u200b", 10000) + "x":   "", // beyond what is looked at
	} {
		if got := Suggest(in); got != want {
			t.Errorf("Suggest(%.40q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzPetname(f *testing.F) {
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 1<<12 || len(b) > 1<<12 {
			t.Skip("too long to be worth its time")
		}
		if s := Suggest(a); s != "" {
			if err := Check(s); err != nil {
				t.Fatalf("Suggest(%+q) = %+q: %v", a, s, err)
			}
			if utf8.RuneCountInString(s) > MaxSuggestion {
				t.Fatalf("Suggest(%+q) = %+q, too long", a, s)
			}
			if again := Suggest(s); again != s {
				t.Fatalf("Suggest(%+q) = %+q", s, again)
			}
		}
		s := Skeleton(a)
		if again := Skeleton(s); again != s {
			t.Fatalf("Skeleton(%+q) = %+q, and of that %+q", a, s, again)
		}
		if !Confusable(a, a) || Confusable(a, b) != Confusable(b, a) {
			t.Fatalf("Confusable is not reflexive and symmetric for %+q and %+q", a, b)
		}
		if Check(a) == nil && s == "" {
			t.Fatalf("%+q is a petname and looks like nothing", a)
		}
		_ = MixedScript(a)
	})
}
