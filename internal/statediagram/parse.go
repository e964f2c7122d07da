package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// tableType is the name of the generic type of a table's rows.
const tableType = "transition"

// machine is a state machine as its source declares it.
type machine struct {
	name        string // of the type
	doc         string // the comment on the type
	states      []state
	transitions []transition
}

// state is a constant of a machine's type.
type state struct {
	constant string // StateInit
	name     string // Init
	doc      string // the comment on the constant
}

// transition is a row of a machine's table.
type transition struct{ from, to, when string } // the states by their constants

// source is the file's declarations that matter, by the name of the type.
type source struct {
	docs   map[string]string
	states map[string][]state
}

// parse returns the machines that a Go file declares, in the order of their tables. Anything that is not as
// the package comment says is an error: what is left out of a diagram nobody misses.
func parse(filename string, content []byte) ([]machine, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, filename, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	src := source{docs: map[string]string{}, states: map[string][]state{}}
	var machines []machine
	for _, pass := range []func(*ast.GenDecl) error{
		src.declare,
		func(d *ast.GenDecl) error {
			found, err := src.tables(d)
			machines = append(machines, found...)
			return err
		},
	} {
		for _, d := range file.Decls {
			general, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			if err := pass(general); err != nil {
				return nil, fmt.Errorf("%s: %w", files.Position(general.Pos()), err)
			}
		}
	}
	if len(machines) == 0 {
		return nil, fmt.Errorf("%s: no table of type []%s[…]", filename, tableType)
	}
	for _, m := range machines {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", filename, m.name, err)
		}
	}
	return machines, nil
}

// declare records the comments of types, and the constants of each type.
func (s *source) declare(d *ast.GenDecl) error {
	of := "" // the type of a constant that has none written: that of the one before
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			s.docs[spec.Name.Name] = comment(spec.Doc, spec.Comment, d.Doc)
		case *ast.ValueSpec:
			if d.Tok != token.CONST {
				continue
			}
			switch {
			case spec.Type != nil:
				of = identifier(spec.Type)
			case len(spec.Values) > 0: // a constant of another kind
				of = ""
			}
			if of == "" {
				continue
			}
			for _, name := range spec.Names {
				short, ok := strings.CutPrefix(name.Name, of)
				if !ok || short == "" {
					return fmt.Errorf("the constant %s of type %s is not named after it", name.Name, of)
				}
				s.states[of] = append(s.states[of], state{name.Name, short, comment(spec.Doc, spec.Comment)})
			}
		}
	}
	return nil
}

// tables returns the machines whose tables a declaration has.
func (s *source) tables(d *ast.GenDecl) ([]machine, error) {
	var found []machine
	for _, spec := range d.Specs {
		value, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for _, v := range value.Values {
			literal, ok := v.(*ast.CompositeLit)
			if !ok {
				continue
			}
			of := rowsOf(literal.Type)
			if of == "" {
				continue
			}
			m := machine{name: of, doc: s.docs[of], states: s.states[of]}
			for i, row := range literal.Elts {
				t, err := readRow(row)
				if err != nil {
					return nil, fmt.Errorf("row %d of the table of %s: %w", i+1, of, err)
				}
				m.transitions = append(m.transitions, t)
			}
			found = append(found, m)
		}
	}
	return found, nil
}

// rowsOf returns S for the type []transition[S], and "" for any other.
func rowsOf(t ast.Expr) string {
	array, ok := t.(*ast.ArrayType)
	if !ok {
		return ""
	}
	row, ok := array.Elt.(*ast.IndexExpr)
	if !ok || identifier(row.X) != tableType {
		return ""
	}
	return identifier(row.Index)
}

var errRow = errors.New(`want {From, To, "when"}`)

func readRow(e ast.Expr) (transition, error) {
	row, ok := e.(*ast.CompositeLit)
	if !ok || len(row.Elts) != 3 {
		return transition{}, errRow
	}
	t := transition{from: identifier(row.Elts[0]), to: identifier(row.Elts[1])}
	when, ok := row.Elts[2].(*ast.BasicLit)
	if !ok || when.Kind != token.STRING || t.from == "" || t.to == "" {
		return transition{}, errRow
	}
	var err error
	t.when, err = strconv.Unquote(when.Value)
	return t, err
}

func identifier(e ast.Expr) string {
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// comment returns the text of the first comment there is.
func comment(groups ...*ast.CommentGroup) string {
	for _, g := range groups {
		if text := strings.TrimSpace(g.Text()); text != "" { // Text of a nil group is ""
			return text
		}
	}
	return ""
}

// reserved are the characters that end or break a label in Mermaid, or a cell in Markdown.
const reserved = ":;#%<>{}[]|\"\\`\n"

// check reports the first thing that would make the document wrong or incomplete.
func (m *machine) check() error {
	if m.doc == "" {
		return errors.New("the type has no comment")
	}
	known := map[string]bool{}
	for _, s := range m.states {
		if s.doc == "" {
			return fmt.Errorf("%s has no comment", s.constant)
		}
		known[s.constant] = true
	}
	seen := map[[2]string]bool{}
	for _, t := range m.transitions {
		arrow := [2]string{t.from, t.to}
		switch {
		case !known[t.from]:
			return fmt.Errorf("%s is not one of its constants", t.from)
		case !known[t.to]:
			return fmt.Errorf("%s is not one of its constants", t.to)
		case t.from == t.to:
			return fmt.Errorf("%s leads to itself", t.from)
		case seen[arrow]:
			return fmt.Errorf("two rows from %s to %s", t.from, t.to)
		case strings.TrimSpace(t.when) == "":
			return fmt.Errorf("from %s to %s: it is not said when", t.from, t.to)
		case strings.ContainsAny(t.when, reserved):
			return fmt.Errorf("from %s to %s: none of %q may be in %q", t.from, t.to, reserved, t.when)
		}
		seen[arrow] = true
	}
	return m.checkReachable()
}

// checkReachable follows the transitions from the first state.
func (m *machine) checkReachable() error {
	if len(m.states) == 0 {
		return errors.New("no constants")
	}
	reached := []string{m.states[0].constant}
	for i := 0; i < len(reached); i++ {
		for _, t := range m.transitions {
			if t.from == reached[i] && !slices.Contains(reached, t.to) {
				reached = append(reached, t.to)
			}
		}
	}
	for _, s := range m.states {
		if !slices.Contains(reached, s.constant) {
			return fmt.Errorf("nothing leads from %s to %s", m.states[0].constant, s.constant)
		}
	}
	return nil
}
