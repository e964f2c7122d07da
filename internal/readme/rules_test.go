package readme

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	ruleDefined = regexp.MustCompile(`(?m)^- \*\*([A-Z]{2}[0-9]+)\*\* `)
	ruleNamed   = regexp.MustCompile(`\b[A-Z]{2}[0-9]+\b`)
)

// unnamed returns the rules of a protocol text that no test names: in the comment of a test function, in a
// transcript or among test vectors.
func unnamed(protocol string, tests []string) (missing []string) {
	named := map[string]bool{}
	for _, text := range tests {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "func Test") || strings.HasPrefix(line, "//") || strings.HasPrefix(line, "#") {
				for _, rule := range ruleNamed.FindAllString(line, -1) {
					named[rule] = true
				}
			}
		}
	}
	for _, m := range ruleDefined.FindAllStringSubmatch(protocol, -1) {
		if !named[m[1]] {
			missing = append(missing, m[1])
		}
	}
	return missing
}

// Every rule of docs/protocol.md is named by a test.
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
}

func TestUnnamedRules(t *testing.T) {
	got := unnamed("- **AB1** one\n- **AB2** two\n- **AB3** three\n", []string{"func TestOne(t *testing.T) { // AB1\n", "\tuse(AB2)\n", "# AB3, AB4\n"})
	if len(got) != 1 || got[0] != "AB2" {
		t.Errorf("got %v", got)
	}
}
