// Command gen writes the table of look-alike characters of package petname from
// Unicode's confusables.txt (https://www.unicode.org/Public/security/). The file
// lies beside this one, compressed and otherwise as published, so that the table
// can be made again anywhere:
//
//	go run ./internal/gen -in internal/gen/confusables.txt.gz -out confusables_table.go
//
// Its version should be that of Go's unicode package. The header of the output names
// the version and the SHA-256 of the uncompressed input; the same input gives the
// same bytes.
package main

import (
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	in := flag.String("in", "", "Unicode's confusables.txt, plain or .gz")
	out := flag.String("out", "confusables_table.go", "Go file to write")
	flag.Parse()
	if err := run(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(in, out string) error {
	if in == "" {
		return errors.New("-in is needed: the path of Unicode's confusables.txt")
	}
	data, err := read(in)
	if err != nil {
		return err
	}
	table, err := parse(data)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	source, err := table.render()
	if err != nil {
		return err
	}
	return os.WriteFile(out, source, 0o644) //nolint:gosec // source code, for everybody to read
}

// read returns the content of a file, uncompressed if its name ends in .gz.
func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if !strings.HasSuffix(path, ".gz") {
		return io.ReadAll(file)
	}
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unzipped)
}
