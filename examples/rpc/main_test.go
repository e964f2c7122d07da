package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestShort: X3 promises each of the two in under 60 lines.
func TestShort(t *testing.T) {
	for _, name := range []string{"ask.go", "converse.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b, []byte("\n")); n >= 60 {
			t.Errorf("%s has %d lines, want fewer than 60", name, n)
		}
	}
}

func TestBothOverLoopback(t *testing.T) {
	var out, errs strings.Builder
	if status := run(t.Context(), nil, &out, &errs); status != 0 {
		t.Fatalf("exit status %d: %s", status, errs.String())
	}
	want := regexp.MustCompile(`^alice  dials [a-z0-9]{8} at 127\.0\.0\.1:\d+
bob    [a-z0-9]{8} wants 47 / 5
alice  47 / 5 = 9, remainder 2
bob    [a-z0-9]{8} wants 1 / 0
alice  1 / 0 is refused: "1 cannot be divided by zero" \(InvalidArgument\)
alice  guesses a number from 1 to 100
bob    thinks of (\d+)
alice  found (\d+) with [1-7] guesses
$`)
	found := want.FindStringSubmatch(out.String())
	if found == nil {
		t.Fatalf("printed\n%s", out.String())
	}
	if found[1] != found[2] {
		t.Errorf("bob thought of %s, alice found %s", found[1], found[2])
	}
}

// TestTwoEnds runs the two ends as two terminals do.
func TestTwoEnds(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"-listen", "127.0.0.1:0"}, w, w)
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	var at string
	for at == "" && lines.Scan() {
		_, at, _ = strings.Cut(lines.Text(), "go run ./examples/rpc -to ")
	}
	answering := make(chan string, 1)
	go func() {
		var rest strings.Builder
		for lines.Scan() {
			rest.WriteString(lines.Text() + "\n")
		}
		answering <- rest.String()
	}()

	var out strings.Builder
	if status := run(t.Context(), []string{"-to", at}, &out, &out); status != 0 {
		t.Fatalf("-to: exit status %d: %s", status, out.String())
	}
	if n := strings.Count(out.String(), "\n"); n != 4 {
		t.Errorf("-to printed %d lines, want 4:\n%s", n, out.String())
	}

	id, _, _ := strings.Cut(at, "@")
	_, otherAddress := listening(t)
	out.Reset()
	if status := run(t.Context(), []string{"-to", id + "@" + otherAddress}, &out, &out); status != 1 {
		t.Errorf("another key at the address: exit status %d, want 1", status)
	}
	if !strings.Contains(out.String(), "authentication failed") || !strings.Contains(out.String(), "take the line it prints now") {
		t.Errorf("another key at the address: %s", out.String())
	}

	interrupt()
	if status := <-ended; status != 0 {
		t.Errorf("-listen, interrupted: exit status %d, want 0", status)
	}
	if rest := <-answering; !regexp.MustCompile(`^\w{8} wants 47 / 5\n\w{8} wants 1 / 0\nthinks of \d+\n$`).MatchString(rest) {
		t.Errorf("-listen printed\n%s", rest)
	}
}

// listening runs an answering end until the test ends.
func listening(t *testing.T) (id, address string) {
	ctx, interrupt := context.WithCancel(context.Background())
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx, []string{"-listen", "127.0.0.1:0"}, w, w)
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	for address == "" && lines.Scan() {
		if _, at, ok := strings.Cut(lines.Text(), " -to "); ok {
			id, address, _ = strings.Cut(at, "@")
		}
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	t.Cleanup(func() {
		interrupt()
		<-ended
	})
	return id, address
}

// TestWrongCommands: one line that says what to do, and exit status 2.
func TestWrongCommands(t *testing.T) {
	id, taken := listening(t)
	for _, test := range []struct {
		args, want string
	}{
		{"-x", "not defined: -x: -h shows what can be typed"},
		{"now", `"now" is not understood`},
		{"-listen 127.0.0.1:0 -to " + id + "@" + taken, "not both"},
		{"-listen=", "-listen takes HOST:PORT"},
		{"-listen " + taken, "choose another port"},
		{"-listen nowhere", "missing port"},
		{"-to " + taken, "has no @"},
		{"-to " + id[1:] + "@" + taken, "51 characters, want 52"},
		{"-to " + id + "@127.0.0.1", "missing port"},
		{"-to " + id + "@127.0.0.1:0", `"127.0.0.1:0" is no HOST:PORT`},
		{"-to " + id + "@:99", `":99" is no HOST:PORT`},
	} {
		var out, errs strings.Builder
		if status := run(t.Context(), strings.Fields(test.args), &out, &errs); status != 2 {
			t.Errorf("rpc %s: exit status %d, want 2", test.args, status)
		}
		if got := errs.String(); !strings.Contains(got, test.want) || strings.Count(got, "\n") != 1 || out.String() != "" {
			t.Errorf("rpc %s: printed %q and %q, want one line with %q", test.args, out.String(), got, test.want)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	id, address := listening(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	var out strings.Builder
	if status := run(ctx, []string{"-to", id + "@" + address}, &out, &out); status != 1 || !strings.Contains(out.String(), "does the other peer still run?") {
		t.Errorf("exit status %d: %s", status, out.String())
	}
}

func TestHelp(t *testing.T) {
	var out, errs strings.Builder
	if status := run(t.Context(), []string{"-h"}, &out, &errs); status != 0 || out.String() != usage || errs.String() != "" {
		t.Errorf("exit status %d, printed %q and %q", status, out.String(), errs.String())
	}
}
