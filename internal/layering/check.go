package layering

import (
	"fmt"
	"slices"
	"strings"
)

// Table is a complete set of import rules. A pattern is a path, which matches
// itself, or a path followed by "/...", which matches itself and all below it.
// Patterns of this module's own packages are relative to the module; patterns
// whose first element has a dot are outside packages. The standard library is
// open to all, apart from what [Rule.Forbid] and [Table.Owners] take away.
type Table struct {
	// Rules covers every package, each by the longest pattern that matches it.
	Rules []Rule
	// TestImports lists outside packages open to every package's tests.
	TestImports []string
	// Owners names, for packages that only one layer may know, the trees whose
	// production files may import them. It binds whatever the rules say, so that
	// a rule widened by mistake does not open a wall.
	Owners map[string][]string
	// Apart lists pairs of own trees of which neither may reach the other through
	// any chain of production imports.
	Apart [][2]string
}

// Rule says what one tree of packages may import. Packages of the same tree may
// always import one another.
type Rule struct {
	// Tree is the pattern of the packages this rule covers.
	Tree string
	// Imports lists own and outside packages open to production and test files.
	Imports []string
	// TestImports lists what test files may import besides.
	TestImports []string
	// Forbid lists standard packages that production files must do without.
	Forbid []string
}

// Violation is one breach of the table. File and Import are empty where the
// breach is in the table itself.
type Violation struct {
	Package, File, Import, Reason string
}

// String renders the violation on one line.
func (v Violation) String() string {
	switch {
	case v.File != "":
		return fmt.Sprintf("%s imports %q: %s", v.File, v.Import, v.Reason)
	default:
		return fmt.Sprintf("%s: %s", v.Package, v.Reason)
	}
}

// Check returns every breach of t in g, first those of the table itself, then
// those of files in order of name.
func (t *Table) Check(g *Graph) []Violation {
	c := checker{t: t, g: g, packages: g.Packages()}
	c.checkTable()
	for _, pkg := range c.packages {
		if t.rule(pkg) == nil {
			c.add(Violation{Package: pkg, Reason: "no rule covers this package"})
		}
	}
	for _, f := range g.Files {
		if r := t.rule(f.Package); r != nil {
			c.checkFile(r, f)
		}
	}
	for _, pair := range t.Apart {
		c.checkApart(pair[0], pair[1])
		c.checkApart(pair[1], pair[0])
	}
	return c.found
}

// rule returns the most specific rule for a package, or nil.
func (t *Table) rule(pkg string) *Rule {
	var best *Rule
	for i := range t.Rules {
		r := &t.Rules[i]
		if match(r.Tree, pkg) && (best == nil || len(r.Tree) > len(best.Tree)) {
			best = r
		}
	}
	return best
}

func match(pattern, pkg string) bool {
	base, tree := strings.CutSuffix(pattern, "/...")
	return pkg == base || tree && strings.HasPrefix(pkg, base+"/")
}

func matchAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, pkg) })
}

// outside tells packages of other modules from those of this module and of the
// standard library: only their first element has a dot.
func outside(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return strings.Contains(first, ".")
}

type checker struct {
	t        *Table
	g        *Graph
	packages []string
	found    []Violation
}

func (c *checker) add(v Violation) { c.found = append(c.found, v) }

// checkTable fails patterns that match nothing.
func (c *checker) checkTable() {
	seen := make(map[string]bool)
	for _, r := range c.t.Rules {
		if seen[r.Tree] {
			c.add(Violation{Package: r.Tree, Reason: "two rules have this tree"})
		}
		seen[r.Tree] = true
		c.checkPattern(r.Tree, r.Tree)
		for _, p := range slices.Concat(r.Imports, r.TestImports) {
			c.checkPattern(r.Tree, p)
		}
	}
	for _, p := range c.t.TestImports {
		c.checkPattern("every test", p)
	}
	for _, trees := range c.t.Owners {
		for _, p := range trees {
			c.checkPattern(p, p)
		}
	}
	for _, pair := range c.t.Apart {
		c.checkPattern(pair[0], pair[0])
		c.checkPattern(pair[1], pair[1])
	}
}

func (c *checker) checkPattern(rule, pattern string) {
	base, _ := strings.CutSuffix(pattern, "/...")
	if outside(base) && base != "." {
		if !slices.ContainsFunc(c.g.Requires, func(m string) bool { return match(m+"/...", base) }) {
			c.add(Violation{Package: rule, Reason: fmt.Sprintf("the rule names %q, which no module of go.mod provides", pattern)})
		}
		return
	}
	if !slices.ContainsFunc(c.packages, func(p string) bool { return match(pattern, p) }) {
		c.add(Violation{Package: rule, Reason: fmt.Sprintf("the rule names %q, which does not exist", pattern)})
	}
}

func (c *checker) checkFile(r *Rule, f File) {
	for _, imp := range f.Imports {
		if reason := c.judge(r, f, imp); reason != "" {
			c.add(Violation{Package: f.Package, File: f.Name, Import: imp, Reason: reason})
		}
	}
}

// judge returns why f may not import imp, or "".
func (c *checker) judge(r *Rule, f File, imp string) string {
	if !f.Test {
		for owned, trees := range c.t.Owners {
			if match(owned, imp) && !matchAny(trees, f.Package) {
				return "only " + orNobody(trees) + " may know this package"
			}
		}
	}
	allowed := r.Imports
	if f.Test {
		allowed = slices.Concat(r.Imports, r.TestImports, c.t.TestImports)
	}
	own, isOwn := c.g.local(imp)
	switch {
	case imp == "C":
		return "the module is built without cgo"
	case isOwn && match(r.Tree, own):
		return ""
	case isOwn && !matchAny(allowed, own), outside(imp) && !matchAny(allowed, imp):
		return fmt.Sprintf("not among the imports open to %s", r.Tree)
	case !isOwn && !f.Test && matchAny(r.Forbid, imp):
		return fmt.Sprintf("%s does without this standard package", r.Tree)
	}
	return ""
}

func orNobody(trees []string) string {
	if len(trees) == 0 {
		return "packages that do not exist yet"
	}
	return strings.Join(trees, ", ")
}

// checkApart looks for a chain of production imports from one tree to another,
// breadth first, so that the chain it reports is a shortest one.
func (c *checker) checkApart(from, to string) {
	via := make(map[string]string)
	var queue []string
	for _, p := range c.packages {
		if match(from, p) {
			via[p] = ""
			queue = append(queue, p)
		}
	}
	direct := c.g.production()
	for ; len(queue) > 0; queue = queue[1:] {
		if match(to, queue[0]) {
			c.add(Violation{Package: from, Reason: "reaches " + to + " by " + chain(via, queue[0])})
			return
		}
		for _, next := range direct[queue[0]] {
			if _, ok := via[next]; !ok {
				via[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
}

// chain follows via back to its start and returns the way there.
func chain(via map[string]string, end string) string {
	var steps []string
	for p := end; p != ""; p = via[p] {
		steps = append(steps, p)
	}
	slices.Reverse(steps)
	return strings.Join(steps, " → ")
}
