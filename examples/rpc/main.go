// Command rpc shows the two ways of talking that package dispatch offers: ask.go
// is a typed request and its reply, converse.go a conversation with state at both
// ends (X3). Run it with -h to see how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"parley/peer"
)

const usage = `One peer divides and thinks of numbers, the other asks it and guesses.

  go run ./examples/rpc                     both in this process, over UDP on 127.0.0.1
  go run ./examples/rpc -listen HOST:PORT   the one that answers, until interrupted;
                                            127.0.0.1:0 is any free port of this machine
  go run ./examples/rpc -to ID@HOST:PORT    the one that asks; what to type here is
                                            what the one that answers prints first

Each run is a new key. Exit status: 0, 1 if the peers could not talk, 2 if the command is wrong.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	do, err := parse(args)
	if err == nil {
		err = do(ctx, &screen{w: stdout})
	}
	if err == nil {
		return 0
	}
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprintf(stderr, "rpc: %v\n", err)
	if _, ok := errors.AsType[*commandError](err); ok {
		return 2
	}
	return 1
}

// commandError is what only another command line can help.
type commandError struct {
	problem string
	cause   error
}

func (e *commandError) Error() string {
	if e.cause != nil {
		return e.problem + ": " + e.cause.Error()
	}
	return e.problem
}

func (e *commandError) Unwrap() error { return e.cause }

// parse returns what the command line asks to be done.
func parse(args []string) (func(context.Context, *screen) error, error) {
	flags := flag.NewFlagSet("rpc", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	listen := flags.String("listen", "", "")
	to := flags.String("to", "", "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil, err
	case err != nil:
		return nil, &commandError{problem: err.Error() + ": -h shows what can be typed"}
	case flags.NArg() > 0:
		return nil, &commandError{problem: fmt.Sprintf("%q is not understood: -h shows what can be typed", flags.Arg(0))}
	case *listen != "" && *to != "":
		return nil, &commandError{problem: "give -listen or -to, not both: the two ends are two processes, or one process without flags"}
	case *listen != "":
		return func(ctx context.Context, out *screen) error { return answer(ctx, *listen, out) }, nil
	case *to != "":
		id, address, err := parsePeer(*to)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, out *screen) error { return ask(ctx, id, address, out) }, nil
	case flags.NFlag() > 0:
		return nil, &commandError{problem: "-listen takes HOST:PORT, -to takes ID@HOST:PORT"}
	}
	return both, nil
}

// parsePeer takes ID@HOST:PORT apart.
func parsePeer(s string) (peer.ID, string, error) {
	text, address, ok := strings.Cut(s, "@")
	if !ok {
		return peer.ID{}, "", &commandError{problem: fmt.Sprintf("-to %s has no @: it takes ID@HOST:PORT, as the other peer prints it", strconv.Quote(s))}
	}
	id, err := peer.ParseID(text)
	if err != nil {
		return peer.ID{}, "", &commandError{"-to takes ID@HOST:PORT, as the other peer prints it", err}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return peer.ID{}, "", &commandError{"-to takes ID@HOST:PORT, as the other peer prints it", err}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return peer.ID{}, "", &commandError{problem: fmt.Sprintf("-to: %q is no HOST:PORT", address)}
	}
	return id, address, nil
}

// must is for errors that only a mistake in this program could cause.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
