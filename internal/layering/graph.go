package layering

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Graph is the import graph of one module as its source states it.
type Graph struct {
	// Module is the module path of go.mod.
	Module string
	// Requires lists the module paths that go.mod requires, directly or not.
	Requires []string
	// Files lists every Go source file, sorted by name.
	Files []File
}

// File is one source file and what it imports.
type File struct {
	// Name is the slash-separated path from the module's root.
	Name string
	// Package is the directory of Name, "." at the root. A package path here is
	// always relative to the module.
	Package string
	// Test is set for files that only the go tool's test command compiles.
	Test bool
	// Imports lists the imported paths as written.
	Imports []string
}

// Packages returns the sorted package paths that have at least one file.
func (g *Graph) Packages() []string {
	var all []string
	for _, f := range g.Files {
		all = append(all, f.Package)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// local returns the module-relative path of an import of this module.
func (g *Graph) local(imp string) (string, bool) {
	if imp == g.Module {
		return ".", true
	}
	return strings.CutPrefix(imp, g.Module+"/")
}

// production returns, for each package, the own packages that its production
// files import.
func (g *Graph) production() map[string][]string {
	direct := make(map[string][]string)
	for _, f := range g.Files {
		if f.Test {
			continue
		}
		for _, imp := range f.Imports {
			if own, ok := g.local(imp); ok {
				direct[f.Package] = append(direct[f.Package], own)
			}
		}
	}
	return direct
}

// ErrNoModule reports a file system without a readable go.mod at its root.
var ErrNoModule = errors.New("layering: no module path in go.mod")

// Load reads the module whose root is the root of fsys. It passes over what the
// go tool passes over: testdata, vendor, names that begin with a dot or an
// underscore, nested modules, and files marked "//go:build ignore". A source file
// that does not parse is an error.
func Load(fsys fs.FS) (*Graph, error) {
	mod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoModule, err)
	}
	g := &Graph{}
	g.parseMod(mod)
	if g.Module == "" {
		return nil, ErrNoModule
	}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && skipped(d.Name()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			if name != "." && exists(fsys, path.Join(name, "go.mod")) {
				return fs.SkipDir
			}
			return nil
		case path.Ext(name) != ".go":
			return nil
		}
		f, ok, err := loadFile(fsys, name)
		if err != nil {
			return err
		}
		if ok {
			g.Files = append(g.Files, f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("layering: %w", err)
	}
	return g, nil
}

func skipped(base string) bool {
	return base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_'
}

func exists(fsys fs.FS, name string) bool {
	_, err := fs.Stat(fsys, name)
	return err == nil
}

func loadFile(fsys fs.FS, name string) (File, bool, error) {
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return File{}, false, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return File{}, false, err
	}
	if ignored(parsed) {
		return File{}, false, nil
	}
	f := File{Name: name, Package: path.Dir(name), Test: strings.HasSuffix(name, "_test.go")}
	for _, spec := range parsed.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return File{}, false, fmt.Errorf("%s: %w", name, err)
		}
		f.Imports = append(f.Imports, imp)
	}
	return f, true, nil
}

// ignored tells whether the file opted out of every build by the one tag that
// conventionally does so. Any other constraint leaves the file in.
func ignored(f *ast.File) bool {
	for _, group := range f.Comments {
		if group.Pos() > f.Package {
			break
		}
		for _, c := range group.List {
			expr, err := constraint.Parse(c.Text)
			if err != nil {
				continue
			}
			if tag, ok := expr.(*constraint.TagExpr); ok && tag.Tag == "ignore" {
				return true
			}
		}
	}
	return false
}

// parseMod takes the two directives the rules need; the go command has already
// judged the file's syntax by the time a test runs.
func (g *Graph) parseMod(mod []byte) {
	inRequire := false
	for lines := bufio.NewScanner(bytes.NewReader(mod)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "//"):
		case fields[0] == ")":
			inRequire = false
		case fields[0] == "module" && len(fields) > 1:
			g.Module = fields[1]
		case fields[0] == "require" && len(fields) > 1 && fields[1] == "(":
			inRequire = true
		case fields[0] == "require" && len(fields) > 1:
			g.Requires = append(g.Requires, fields[1])
		case inRequire:
			g.Requires = append(g.Requires, fields[0])
		}
	}
}
