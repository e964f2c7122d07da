package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/dispatch/dispatchtest"
)

// TestBook: comments, order and line ends survive; what is in the file is checked
// (I3).
func TestBook(t *testing.T) {
	id := dispatchtest.ID
	path := filepath.Join(t.TempDir(), "petnames")
	text := "# my friends\n\nbob " + id(1).String() + "\n  # carol moves a lot\ncarol\t" + id(2).String() + "   example.org:4242\n"
	write(t, path, strings.ReplaceAll(text, "bob ", "bob  "), 0o600)
	b, err := openBook(path, id(9))
	if err != nil {
		t.Fatal(err)
	}
	if e := b.of(id(2)); e == nil || e.name != "carol" || e.address != "example.org:4242" || b.named("carol") != e {
		t.Errorf("carol is %+v", e)
	}
	if got := b.like("karol"); got != "" {
		t.Errorf("an unlike name is like %q", got)
	}
	if got := b.like("C\u0430rol"); got != "carol" { // a Cyrillic а is an a
		t.Errorf("a like name is like %q", got)
	}
	if err := b.add("dave", id(3), "[::1]:99", true); err != nil {
		t.Error(err)
	}
	if err := b.add("robot", id(4), "localhost:99", false); err != nil {
		t.Error(err)
	}
	if err := b.add("bob", id(1), "localhost:1", true); err != nil {
		t.Error(err)
	}
	if old, err := b.rename("Carol", id(2)); err != nil || old != "carol" { // like her old name, which is no obstacle
		t.Errorf("rename: %q, %v", old, err)
	}
	want := "# my friends\n\nbob " + id(1).String() + " localhost:1\n  # carol moves a lot\nCarol " + id(2).String() +
		" example.org:4242\ndave " + id(3).String() + " [::1]:99\n"
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("stored %q\nnot %q (%v)", got, want, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	again, err := openBook(path, id(9))
	if err != nil || len(again.entries()) != 3 {
		t.Errorf("read again: %d entries, %v", len(again.entries()), err)
	}
}

func TestBookRefuses(t *testing.T) {
	one, two := dispatchtest.ID(1).String(), dispatchtest.ID(2).String()
	for text, want := range map[string]string{
		"bob":                               "line 1: not of the form",
		"bob " + one + " here:1 now":        "line 1: not of the form",
		"\nbob nonsense":                    "line 2: invalid peer id",
		"bob " + one + " here":              "line 1: \"here\" is not HOST:PORT",
		"b=b " + one:                        "line 1: invalid petname",
		"bob " + one + "\nbob " + two:       "line 2: petname bob already names",
		"bob " + one + "\nb0b " + two:       "line 2: petname b0b looks like bob",
		"bob " + one + "\nrobert " + one:    "line 2: " + one + " already has the petname bob",
		"me " + dispatchtest.ID(9).String(): "line 1: that id is your own",
		strings.Repeat("#", maxBook+1):      "has at most",
	} {
		path := write(t, filepath.Join(t.TempDir(), "petnames"), text, 0o600)
		if _, err := openBook(path, dispatchtest.ID(9)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v, not %q", text, err, want)
		}
	}
}

// TestBookUnchanged: what cannot be stored, or is refused, does not happen.
func TestBookUnchanged(t *testing.T) {
	id := dispatchtest.ID
	b, err := openBook(filepath.Join(t.TempDir(), "missing", "petnames"), id(9))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.rename("bob", id(1)); err == nil || b.of(id(1)) != nil {
		t.Errorf("named without being stored: %v", err)
	}
	b.path = ""
	for name, n := range map[string]int{"bob": 1, "carol": 2} {
		if _, err := b.rename(name, id(n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"carol", "CAROL", "x/y", "#x"} {
		if _, err := b.rename(name, id(1)); err == nil || b.of(id(1)).name != "bob" {
			t.Errorf("bob is called %s: %v", b.of(id(1)).name, err)
		}
	}
}
