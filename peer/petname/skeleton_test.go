package petname

import (
	"slices"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// T22: names that a user could take for each other.
func TestConfusable(t *testing.T) {
	for _, tt := range []struct{ a, b, why string }{
		{"alice", "alice", "equal"},
		{"alice", "ALICE", "case"},
		{"Alice", "aIice", "capital I for l"},
		{"ALICE", "aIice", "capital I for l, against capitals"},
		{"alice", "a1ice", "digit one for l"},
		{"alice", "a|ice", "bar for l"},
		{"bob", "b0b", "zero for o"},
		{"BOB", "b0b", "zero for O, against capitals"},
		{"modern", "modem", "rn for m"},
		{"MODEM", "modern", "rn for m, against capitals"},
		{"walter", "vvalter", "vv for w"},
		{"WALTER", "vvalter", "vv for W"},
		{"alice", "аlice", "Cyrillic a"},
		{"alice", "аliсе", "Cyrillic a, es, ie"},
		{"pay", "рау", "all Cyrillic"},
		{"PAY", "РАУ", "all Cyrillic capitals"},
		{"Helen", "Нelen", "Cyrillic En"},
		{"helen", "Нelen", "Cyrillic En, against lower case"},
		{"Boris", "Вoris", "Cyrillic Ve"},
		{"Tom", "Тom", "Cyrillic Te"},
		{"Kim", "Кim", "Cyrillic Ka"},
		{"jack", "јack", "Cyrillic je"},
		{"sam", "ѕam", "Cyrillic dze"},
		{"ivan", "іvan", "Cyrillic Ukrainian i"},
		{"hugo", "һugo", "Cyrillic shha"},
		{"Hugo", "Һugo", "Cyrillic capital shha"},
		{"queen", "ԛueen", "Cyrillic qa"},
		{"xena", "хena", "Cyrillic ha"},
		{"oscar", "οscar", "Greek omicron"},
		{"Oscar", "Οscar", "Greek Omicron"},
		{"Paul", "Ρaul", "Greek Rho"},
		{"paul", "ρaul", "Greek rho"},
		{"Nina", "Νina", "Greek Nu"},
		{"victor", "νictor", "Greek nu"},
		{"Zoe", "Ζoe", "Greek Zeta"},
		{"Eva", "Εva", "Greek Epsilon"},
		{"Ivan", "Ιvan", "Greek Iota"},
		{"Max", "Μax", "Greek Mu"},
		{"Yann", "Υann", "Greek Upsilon"},
		{"ΑΘΗΝΑ", "αθηνα", "case in Greek"},
		{"НАТАША", "наташа", "case in Cyrillic"},
		{"ΣΟΦΟΣ", "σοφος", "final sigma by case"},
		{"alice", "ａｌｉｃｅ", "fullwidth"},
		{"ALICE", "ＡＬＩＣＥ", "fullwidth capitals"},
		{"walter", "Ｗalter", "fullwidth W"},
		{"peer07", "peer０７", "fullwidth digits"},
		{"alice", "𝐚𝐥𝐢𝐜𝐞", "mathematical bold"},
		{"alice", "𝒶𝓁𝒾𝒸ℯ", "mathematical script"},
		{"alice", "𝔞𝔩𝔦𝔠𝔢", "mathematical Fraktur"},
		{"alice", "𝕒𝕝𝕚𝕔𝕖", "mathematical double-struck"},
		{"alice", "𝚊𝚕𝚒𝚌𝚎", "mathematical monospace"},
		{"peer7", "peer𝟳", "mathematical digit"},
		{"fiona", "ﬁona", "ligature fi"},
		{"steffi", "steﬃ", "ligature ffi"},
		{"anna", "aոոa", "Armenian vo"},
		{"oscar", "օscar", "Armenian oh"},
		{"gina", "ɡina", "Latin script g"},
		{"lisa", "lısa", "dotless i"},
		{"anna", "ɑnnɑ", "Latin alpha"},
		{"DAVID", "ᎠAVID", "Cherokee"},
		{"II", "Ⅱ", "Roman numeral"},
		{"ivan", "ⅰvan", "small Roman numeral"},
		{"zoë", "zoe\u0308", "decomposed"},
		{"kim", "\u212aim", "Kelvin sign"},
		{"ann", "a\u200bnn", "zero-width space"},
		{"ann", "a\u00adnn", "soft hyphen"},
		{"ann", "an\ufe0fn", "variation selector"},
		{"ann-lee", "ann‐lee", "another hyphen"},
		{"o'neil", "o’neil", "another apostrophe"},
		{"ann.lee", "ann․lee", "one-dot leader"},
	} {
		if !Confusable(tt.a, tt.b) || !Confusable(tt.b, tt.a) {
			t.Errorf("%s: %q and %q pass as different (%+q, %+q)", tt.why, tt.a, tt.b, Skeleton(tt.a), Skeleton(tt.b))
		}
	}
}

// Flagging everything would flag nothing.
//
//nolint:gosmopolitan // names in many scripts are the point
func TestNotConfusable(t *testing.T) {
	for _, tt := range [][2]string{
		{"alice", "bob"}, {"ann", "anna"}, {"ann", "nan"}, {"jan", "ian"}, {"dora", "dona"}, {"pat", "bat"},
		{"Nan", "Van"}, {"uwe", "yve"}, {"mia", "nia"}, {"zoe", "zoë"}, {"ole", "øle"}, {"sam5", "sams"},
		{"ann-lee", "annlee"}, {"ann", "ann2"}, {"маша", "наташа"}, {"山田", "山本"}, {"김민준", "김민서"}, {"", "a"},
	} {
		if Confusable(tt[0], tt[1]) {
			t.Errorf("%q and %q are flagged (%+q)", tt[0], tt[1], Skeleton(tt[0]))
		}
	}
}

// Every character by itself settles, well within the bound, and the table maps
// nothing to nothing.
func TestSkeletonSettles(t *testing.T) {
	most := 0
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf) {
			continue // unassigned, private or surrogate: nothing is known of it
		}
		if s := string(r); round(s) == s {
			continue
		}
		s := Skeleton(string(r))
		if again := Skeleton(s); again != s {
			t.Errorf("%U: %+q, then %+q", r, s, again)
		}
		if s == "" && !ignorable(r) {
			t.Errorf("%U looks like nothing", r)
		}
		rounds, cur := 0, norm.NFD.String(string(r))
		for next := round(cur); next != cur; next = round(cur) {
			cur = next
			if rounds++; rounds > maxRounds {
				break
			}
		}
		most = max(most, rounds)
	}
	if most >= maxRounds {
		t.Errorf("%d rounds needed, %d allowed", most, maxRounds)
	}
	t.Logf("at most %d rounds", most)
}

// The two cases of a letter are folded to one thing, whichever way they are asked.
func TestFold(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			if a, b := fold(string(r)), fold(string(o)); a != b {
				t.Fatalf("%U folds to %+q, %U to %+q", r, a, o, b)
			}
		}
	}
}

func TestTable(t *testing.T) {
	if !slices.IsSorted(confusableSources[:]) {
		t.Error("sources are not sorted")
	}
	if len(confusableSources) != len(confusableTarget) || int(prototypeEnd[len(prototypeEnd)-1]) != len(prototypes) {
		t.Error("the parts of the table do not fit together")
	}
	if confusablesVersion != unicode.Version || norm.Version != unicode.Version {
		t.Logf("Unicode versions differ: table %s, Go %s, x/text %s", confusablesVersion, unicode.Version, norm.Version)
	}
	// Rows of confusables.txt, beginning, middle and end.
	for source, want := range map[rune]string{'"': "''", 'm': "rn", 'а': "a", 0x5ad: "\u0596", 0x2f800: "\u4e3d"} {
		i, ok := slices.BinarySearch(confusableSources[:], source)
		if !ok || target(i) != want {
			t.Errorf("%U: found %v", source, ok)
		}
	}
}

func BenchmarkSkeleton(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Skeleton("Наталья-Smith")
	}
}
