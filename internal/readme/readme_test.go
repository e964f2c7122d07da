package readme

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the module's root as seen from this package's folder, where the go
// tool runs its tests.
const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// between returns what stands between the first begin and the next end.
func between(text, begin, end string) (string, bool) {
	_, rest, begun := strings.Cut(text, begin)
	inside, _, ended := strings.Cut(rest, end)
	return inside, begun && ended
}

// fences returns the contents of the fenced blocks of one language.
func fences(markdown, language string) []string {
	var all []string
	for _, part := range strings.Split(markdown, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		all = append(all, block)
	}
	return all
}

// TestReadmeShowsTheExampleThatRuns: Example is compiled, run and its output
// checked by the go tool; here the README is held to the same bytes.
func TestReadmeShowsTheExampleThatRuns(t *testing.T) {
	region, ok := between(read(t, "internal/readme/example_test.go"), "\n// The README shows what follows.\n", "\n// The README shows what precedes.\n")
	if !ok {
		t.Fatal("example_test.go does not mark what the README shows")
	}
	want := strings.Trim(region, "\n")
	if n := strings.Count(want, "\n") + 1; n > 20 {
		t.Errorf("the example has %d lines; the README promises twenty", n)
	}
	shown := fences(read(t, "README.md"), "go")
	if len(shown) != 1 {
		t.Fatalf("README.md has %d blocks of Go, want the one that example_test.go runs", len(shown))
	}
	if shown[0] != want {
		t.Errorf("README.md shows\n%s\n\nexample_test.go runs\n%s", shown[0], want)
	}
}

// TestReadmeCommandsAreTheTestedOnes: two commands do all the set-up. The one
// that tests is run as written by .ci/run.
func TestReadmeCommandsAreTheTestedOnes(t *testing.T) {
	want := []string{"go run ./examples/chat -demo", "go test -race ./..."}
	var got []string
	for _, block := range fences(read(t, "README.md"), "sh") {
		got = append(got, strings.Split(block, "\n")...)
	}
	for _, command := range want {
		if !slices.Contains(got, command) {
			t.Errorf("README.md has no line %q in a block of shell", command)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinksLeadSomewhere checks every relative link of every document.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, doc := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, doc), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			target = path.Join(path.Dir(doc), target)
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
				t.Errorf("%s links to %s, which does not exist", doc, target)
			}
		}
	}
}

// documents returns the Markdown files of the module, the root's first.
func documents(t *testing.T) []string {
	t.Helper()
	var docs []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (d.Name()[0] == '.' || d.Name() == "testdata"):
			return fs.SkipDir
		case path.Ext(name) == ".md":
			docs = append(docs, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(docs, "README.md") {
		t.Fatalf("found %q and no README.md", docs)
	}
	return docs
}
