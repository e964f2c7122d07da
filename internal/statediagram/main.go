// Command statediagram writes a document about the state machines that a Go file declares: for each a
// diagram, a table of its states and one of its transitions. It reads the source and runs nothing of it, so
// the document cannot say what the program does not do:
//
//	go run ./internal/statediagram -in socket/session_state.go -out docs/states.md
//
// A machine is a variable of type []transition[S] whose rows are {From, To, "when"}, with S an integer type
// and From and To constants of it. The first constant is the state in which the machine begins. What the
// document says about a state, and about the machine, is the comment on the constant and on the type. The
// same input gives the same bytes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	in := flag.String("in", "", "Go file with the tables")
	out := flag.String("out", "", "Markdown file to write")
	flag.Parse()
	if err := run(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "statediagram:", err)
		os.Exit(1)
	}
}

func run(in, out string) error {
	if in == "" || out == "" {
		return errors.New("-in and -out are needed")
	}
	document, err := generate(in, out)
	if err != nil {
		return err
	}
	return os.WriteFile(out, document, 0o644) //nolint:gosec // documentation, for everybody to read
}

// generate returns the document about the machines in the file in, to be written to out.
func generate(in, out string) ([]byte, error) {
	source, err := os.ReadFile(in)
	if err != nil {
		return nil, err
	}
	machines, err := parse(in, source)
	if err != nil {
		return nil, err
	}
	link, err := relative(out, in)
	if err != nil {
		return nil, err
	}
	return render(machines, link), nil
}

// relative returns the link from one file to another.
func relative(from, to string) (string, error) {
	from, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	to, err = filepath.Abs(to)
	if err != nil {
		return "", err
	}
	link, err := filepath.Rel(filepath.Dir(from), to)
	return filepath.ToSlash(link), err
}
