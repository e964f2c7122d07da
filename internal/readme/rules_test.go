package readme

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	ruleDefined = regexp.MustCompile(`(?m)^- \*\*([A-Z]{2}[0-9]+)\*\* `)
	ruleStruck  = regexp.MustCompile(`(?m)^- ~~\*\*([A-Z]{2}[0-9]+)\*\*~~ `)
	ruleAny     = regexp.MustCompile(`(?m)^- (?:~~)?\*\*([A-Z]{2})([0-9]+)\*\*`)
	ruleNamed   = regexp.MustCompile(`\b[A-Z]{2}[0-9]+\b`)
)

// named returns the rules that tests name: in the comment of a test function, in a transcript or among test
// vectors.
func named(tests []string) map[string]bool {
	names := map[string]bool{}
	for _, text := range tests {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "func Test") || strings.HasPrefix(line, "//") || strings.HasPrefix(line, "#") {
				for _, rule := range ruleNamed.FindAllString(line, -1) {
					names[rule] = true
				}
			}
		}
	}
	return names
}

// unnamed returns the rules of a protocol text that no test names.
func unnamed(protocol string, tests []string) (missing []string) {
	names := named(tests)
	for _, m := range ruleDefined.FindAllStringSubmatch(protocol, -1) {
		if !names[m[1]] {
			missing = append(missing, m[1])
		}
	}
	return missing
}

// fallen returns the rules that tests name though they are struck out.
func fallen(protocol string, tests []string) (stale []string) {
	names := named(tests)
	for _, m := range ruleStruck.FindAllStringSubmatch(protocol, -1) {
		if names[m[1]] {
			stale = append(stale, m[1])
		}
	}
	return stale
}

// misnumbered returns the rules whose number does not follow the one before: each group counts from 1, those that
// are struck out included, so that no number comes back with another meaning.
func misnumbered(protocol string) (odd []string) {
	last := map[string]int{}
	for _, m := range ruleAny.FindAllStringSubmatch(protocol, -1) {
		last[m[1]]++
		if m[2] != strconv.Itoa(last[m[1]]) {
			odd = append(odd, m[1]+m[2])
		}
	}
	return odd
}

// Every rule of docs/protocol.md that holds is named by a test, none that has fallen is, and no number is missing or
// used twice.
func TestEveryRuleHasATest(t *testing.T) {
	const root = "../.."
	protocol, err := os.ReadFile(filepath.Join(root, "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(ruleDefined.FindAllString(string(protocol), -1)); n < 40 {
		t.Fatalf("only %d rules found: has their form changed?", n)
	}
	var tests []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case strings.HasSuffix(path, "_test.go"), strings.Contains(path, "testdata") && strings.HasSuffix(path, ".txt"):
			text, err := os.ReadFile(path)
			tests = append(tests, string(text))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range unnamed(string(protocol), tests) {
		t.Errorf("no test names rule %s", rule)
	}
	for _, rule := range fallen(string(protocol), tests) {
		t.Errorf("a test names rule %s, which is struck out", rule)
	}
	for _, rule := range misnumbered(string(protocol)) {
		t.Errorf("rule %s does not follow the one before", rule)
	}
}

func TestFallenRules(t *testing.T) {
	got := fallen("- ~~**AB1**~~ one\n- **AB2** two\n- ~~**AB3**~~ three\n", []string{"func TestOne(t *testing.T) { // AB1, AB2\n"})
	if len(got) != 1 || got[0] != "AB1" {
		t.Errorf("got %v", got)
	}
}

func TestMisnumberedRules(t *testing.T) {
	got := misnumbered("- **AB1** one\n- ~~**AB2**~~ two\n- **CD1** one\n- **AB4** four\n- **AB4** again\n")
	if len(got) != 1 || got[0] != "AB4" {
		t.Errorf("got %v", got)
	}
}

func TestUnnamedRules(t *testing.T) {
	got := unnamed("- **AB1** one\n- **AB2** two\n- **AB3** three\n", []string{"func TestOne(t *testing.T) { // AB1\n", "\tuse(AB2)\n", "# AB3, AB4\n"})
	if len(got) != 1 || got[0] != "AB2" {
		t.Errorf("got %v", got)
	}
}
