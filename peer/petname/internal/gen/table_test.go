package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const header = "\ufeff# confusables.txt\n# © 2022 Unicode®, Inc.\n# Version: 15.0.0\n"

func TestParse(t *testing.T) {
	table, err := parse([]byte(header + "0430 ;\t0061 ;\tMA\t# ( а → a ) CYRILLIC\t# \n\n006D ;\t0072 006E ;\tMA\n"))
	if err != nil {
		t.Fatal(err)
	}
	if table.version != "15.0.0" || table.copyright != "© 2022 Unicode®, Inc." {
		t.Errorf("version %q, copyright %q", table.version, table.copyright)
	}
	if len(table.prototype) != 2 || table.prototype['а'] != "a" || table.prototype['m'] != "rn" {
		t.Errorf("parsed %q", table.prototype)
	}
}

// A file that is not what it should be must not become a smaller table.
func TestParseRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"no header":           "0430 ; 0061 ; MA\n",
		"no mappings":         header,
		"two fields":          header + "0430 ; 0061\n",
		"another class":       header + "0430 ; 0061 ; SL\n",
		"not hexadecimal":     header + "0430 ; zz ; MA\n",
		"beyond Unicode":      header + "0430 ; 110000 ; MA\n",
		"surrogate":           header + "D800 ; 0061 ; MA\n",
		"empty target":        header + "0430 ;  ; MA\n",
		"source of two":       header + "0430 0431 ; 0061 ; MA\n",
		"mapped twice":        header + "0430 ; 0061 ; MA\n0430 ; 0062 ; MA\n",
		"a line without end ": header + strings.Repeat("x", 1<<17),
	} {
		if _, err := parse([]byte(in)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The output is reproducible Go source, in ASCII but for the copyright line.
func TestRender(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, []byte(header+"0430 ; 0061 ; MA\n006D ; 0072 006E ; MA\n0251 ; 0061 ; MA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var before []byte
	for range 3 {
		if err := run(in, out); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && !bytes.Equal(got, before) {
			t.Fatal("two runs differ")
		}
		before = got
	}
	for _, want := range []string{
		"DO NOT EDIT", "version 15.0.0", "package petname\n",
		"[...]rune{\n\t0x6d, 0x251, 0x430,\n}", // sorted sources
		"[...]uint16{\n\t1, 0, 0,\n}",          // "rn", "a", "a"
		"[...]uint16{\n\t1, 3,\n}",             // "a" ends at 1, "rn" at 3
		"const prototypes = \"\" +\n\t\"arn\"\n",
	} {
		if !strings.Contains(string(before), want) {
			t.Errorf("output lacks %q:\n%s", want, before)
		}
	}
}

func TestRunNeedsInput(t *testing.T) {
	if err := run("", ""); err == nil {
		t.Error("ran without -in")
	}
	if err := run(filepath.Join(t.TempDir(), "none"), ""); err == nil {
		t.Error("ran on a file that is not there")
	}
}

// The committed table is what the committed data gives.
func TestTableIsCurrent(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if err := run("confusables.txt.gz", out); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../confusables_table.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("confusables_table.go is out of date: run go generate ./peer/petname")
	}
}
