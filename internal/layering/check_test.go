package layering

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const fakeMod = "module parley\n\ngo 1.26\n\nrequire example.org/single v1.0.0\n\nrequire (\n" +
	"\texample.org/quic v1.0.0\n\texample.org/check v1.0.0 // indirect\n)\n"

// tree builds a module from file names and the imports each has.
func tree(files map[string][]string) fstest.MapFS {
	fsys := fstest.MapFS{"go.mod": {Data: []byte(fakeMod)}}
	for name, imports := range files {
		var src strings.Builder
		src.WriteString("package p\n")
		for _, imp := range imports {
			src.WriteString("import _ \"" + imp + "\"\n")
		}
		fsys[name] = &fstest.MapFile{Data: []byte(src.String())}
	}
	return fsys
}

// sound is a small module that keeps fakeTable.
func sound() map[string][]string {
	return map[string][]string{
		"low/low.go":             {"errors"},
		"high/high.go":           {"parley/low", "example.org/quic/frames", "fmt"},
		"high/high_test.go":      {"parley/fake", "example.org/check"},
		"high/inner/inner.go":    {"parley/low"},
		"high/use_inner.go":      {"parley/high/inner"},
		"side/side.go":           {"parley/low"},
		"fake/fake.go":           nil,
		"fake/testdata/bad.go":   {"parley/nowhere"},
		"high/.hidden/hidden.go": {"parley/nowhere"},
	}
}

func fakeTable() *Table {
	return &Table{
		Rules: []Rule{
			{Tree: "low", Forbid: []string{"net/..."}},
			{Tree: "high/...", Imports: []string{"low", "example.org/quic/..."}, TestImports: []string{"fake"}},
			{Tree: "side", Imports: []string{"low"}},
			{Tree: "fake"},
		},
		TestImports: []string{"example.org/check"},
		Owners:      map[string][]string{"example.org/quic/...": {"high/..."}, "database/sql/...": nil},
		Apart:       [][2]string{{"high/...", "side"}},
	}
}

// TestCheckFindsPlantedViolations breaks the sound module, or its table, in one
// place each and expects exactly the violation that says so.
func TestCheckFindsPlantedViolations(t *testing.T) {
	for _, tc := range []struct {
		name  string
		plant func(files map[string][]string, table *Table)
		want  []string
	}{
		{"sound", func(map[string][]string, *Table) {}, nil},
		{
			"upward import",
			func(f map[string][]string, _ *Table) { f["low/low.go"] = []string{"parley/high"} },
			[]string{
				`low/low.go imports "parley/high": not among the imports open to low`,
				`side: reaches high/... by side → low → high`,
			},
		},
		{
			"uncovered package",
			func(f map[string][]string, _ *Table) { f["stray/a/b.go"] = nil },
			[]string{`stray/a: no rule covers this package`},
		},
		{
			"rule for a missing package",
			func(_ map[string][]string, tb *Table) { tb.Rules = append(tb.Rules, Rule{Tree: "gone"}) },
			[]string{`gone: the rule names "gone", which does not exist`},
		},
		{
			"tree rule for a missing package",
			func(_ map[string][]string, tb *Table) { tb.Rules = append(tb.Rules, Rule{Tree: "gone/..."}) },
			[]string{`gone/...: the rule names "gone/...", which does not exist`},
		},
		{
			"rule allows a missing package",
			func(_ map[string][]string, tb *Table) { tb.Rules[0].TestImports = []string{"gone"} },
			[]string{`low: the rule names "gone", which does not exist`},
		},
		{
			"rule allows a missing module",
			func(_ map[string][]string, tb *Table) { tb.Rules[0].Imports = []string{"example.org/gone/..."} },
			[]string{`low: the rule names "example.org/gone/...", which no module of go.mod provides`},
		},
		{
			"wall between missing packages",
			func(_ map[string][]string, tb *Table) { tb.Apart = [][2]string{{"high/...", "gone"}} },
			[]string{`gone: the rule names "gone", which does not exist`},
		},
		{
			"two rules for one tree",
			func(_ map[string][]string, tb *Table) { tb.Rules = append(tb.Rules, tb.Rules[3]) },
			[]string{`fake: two rules have this tree`},
		},
		{
			"owned package elsewhere",
			func(f map[string][]string, _ *Table) { f["low/low.go"] = []string{"example.org/quic"} },
			[]string{`low/low.go imports "example.org/quic": only high/... may know this package`},
		},
		{
			"owned package elsewhere although a rule allows it",
			func(f map[string][]string, tb *Table) {
				f["low/low.go"] = []string{"example.org/quic"}
				tb.Rules[0].Imports = []string{"example.org/quic"}
			},
			[]string{`low/low.go imports "example.org/quic": only high/... may know this package`},
		},
		{
			"owned by nobody",
			func(f map[string][]string, _ *Table) { f["high/high.go"] = []string{"database/sql"} },
			[]string{`high/high.go imports "database/sql": only packages that do not exist yet may know this package`},
		},
		{
			"outside package not allowed",
			func(f map[string][]string, _ *Table) { f["side/side.go"] = []string{"example.org/single"} },
			[]string{`side/side.go imports "example.org/single": not among the imports open to side`},
		},
		{
			"test import in a production file",
			func(f map[string][]string, _ *Table) {
				f["high/high.go"] = []string{"parley/fake", "example.org/check"}
			},
			[]string{
				`high/high.go imports "parley/fake": not among the imports open to high/...`,
				`high/high.go imports "example.org/check": not among the imports open to high/...`,
			},
		},
		{
			"test reaches up",
			func(f map[string][]string, _ *Table) { f["low/low_test.go"] = []string{"parley/high"} },
			[]string{`low/low_test.go imports "parley/high": not among the imports open to low`},
		},
		{
			"forbidden standard package",
			func(f map[string][]string, _ *Table) { f["low/low.go"] = []string{"net/netip"} },
			[]string{`low/low.go imports "net/netip": low does without this standard package`},
		},
		{
			"cgo",
			func(f map[string][]string, _ *Table) { f["low/low.go"] = []string{"C"} },
			[]string{`low/low.go imports "C": the module is built without cgo`},
		},
		{
			"walled trees joined by a chain that rules allow",
			func(f map[string][]string, tb *Table) {
				f["fake/fake.go"] = []string{"parley/side"}
				f["high/inner/inner.go"] = []string{"parley/fake"}
				tb.Rules[1].Imports = []string{"low", "fake", "example.org/quic/..."}
				tb.Rules[3].Imports = []string{"side"}
			},
			[]string{`high/...: reaches side by high/inner → fake → side`},
		},
		{
			"a name that only begins like an allowed tree",
			func(f map[string][]string, _ *Table) {
				f["higher/h.go"] = nil
				f["high/high.go"] = []string{"parley/low", "example.org/quick"}
			},
			[]string{
				`higher: no rule covers this package`,
				`high/high.go imports "example.org/quick": not among the imports open to high/...`,
			},
		},
		{
			"the most specific rule decides",
			func(f map[string][]string, tb *Table) {
				tb.Rules = append(tb.Rules, Rule{Tree: "high/inner"})
				f["high/inner/inner.go"] = []string{"parley/low"}
			},
			[]string{`high/inner/inner.go imports "parley/low": not among the imports open to high/inner`},
		},
		{
			"a name that only begins like an allowed one",
			func(f map[string][]string, _ *Table) {
				f["lowly/l.go"] = nil
				f["side/side.go"] = []string{"parley/lowly"}
			},
			[]string{
				`lowly: no rule covers this package`,
				`side/side.go imports "parley/lowly": not among the imports open to side`,
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files, table := sound(), fakeTable()
			tc.plant(files, table)
			g, err := Load(tree(files))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range table.Check(g) {
				got = append(got, v.String())
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("violations:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

// TestLoadSeesEveryBuildTheModuleHas: a constraint hides a file from one build,
// never from the rules, while a nested module and an ignored script are not ours.
func TestLoadSeesEveryBuildTheModuleHas(t *testing.T) {
	fsys := fstest.MapFS{
		"go.mod":          {Data: []byte(fakeMod)},
		"a/a_plan9.go":    {Data: []byte("//go:build plan9\n\npackage a\nimport _ \"parley/b\"\n")},
		"a/gen.go":        {Data: []byte("//go:build ignore\n\npackage main\nimport _ \"parley/c\"\n")},
		"tools/go.mod":    {Data: []byte("module parley/tools\n")},
		"tools/t.go":      {Data: []byte("package tools\n")},
		"a/testdata/x.go": {Data: []byte("not Go at all")},
		"a/readme.md":     {Data: []byte("package")},
	}
	g, err := Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Files) != 1 || g.Files[0].Name != "a/a_plan9.go" || !slices.Equal(g.Files[0].Imports, []string{"parley/b"}) {
		t.Errorf("files: %+v", g.Files)
	}
	if want := []string{"example.org/single", "example.org/quic", "example.org/check"}; !slices.Equal(g.Requires, want) {
		t.Errorf("requires %q, want %q", g.Requires, want)
	}
}

func TestLoadRefuses(t *testing.T) {
	if _, err := Load(fstest.MapFS{}); !errors.Is(err, ErrNoModule) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no go.mod: %v", err)
	}
	if _, err := Load(fstest.MapFS{"go.mod": {Data: []byte("go 1.26\n")}}); !errors.Is(err, ErrNoModule) {
		t.Errorf("no module line: %v", err)
	}
	if _, err := Load(fstest.MapFS{"go.mod": {Data: []byte(fakeMod)}, "a.go": {Data: []byte("pack")}}); err == nil {
		t.Error("a file that does not parse was accepted")
	}
}
