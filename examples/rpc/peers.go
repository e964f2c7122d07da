package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"parley/dispatch"
	"parley/peer"
	"parley/socket"
)

// limit is the largest number that is thought of.
const limit = 100

// closing is how long a peer takes at most to part from the other.
const closing = 5 * time.Second

// answer listens at an address and answers whoever asks, until ctx ends.
func answer(ctx context.Context, address string, out *screen) error {
	err := with(address, func(host *socket.Host, d *dispatch.Dispatcher) error {
		say := out.printer("")
		if err := serve(d, think, say); err != nil {
			return err
		}
		say("listening; in another terminal type:")
		say("go run ./examples/rpc -to %s@%s", host.LocalID(), reachable(host.Addr()))
		<-ctx.Done()
		return nil
	})
	if errors.Is(err, socket.Refused) {
		return &commandError{"-listen takes a free HOST:PORT of this machine", err}
	}
	return err
}

// ask dials the peer at an address and asks it.
func ask(ctx context.Context, id peer.ID, address string, out *screen) error {
	return with("", func(host *socket.Host, d *dispatch.Dispatcher) error {
		if _, err := host.Dial(ctx, id, address); err != nil {
			return explain(err)
		}
		return tour(ctx, d, id, out.printer(""))
	})
}

// both does both over the loopback interface.
func both(ctx context.Context, out *screen) error {
	return with("127.0.0.1:0", func(bob *socket.Host, atBob *dispatch.Dispatcher) error {
		if err := serve(atBob, think, out.printer("bob    ")); err != nil {
			return err
		}
		return with("127.0.0.1:0", func(alice *socket.Host, atAlice *dispatch.Dispatcher) error {
			say := out.printer("alice  ")
			say("dials %s at %s", bob.LocalID().Short(), bob.Addr())
			if _, err := alice.Dial(ctx, bob.LocalID(), bob.Addr().String()); err != nil {
				return err
			}
			return tour(ctx, atAlice, bob.LocalID(), say)
		})
	})
}

// serve registers what one peer does for others.
func serve(d *dispatch.Dispatcher, think func() uint32, say printer) error {
	return errors.Join(
		serveDivision(d, say),
		serveGames(d, limit, func() uint32 {
			n := think()
			say("thinks of %d", n)
			return n
		}),
	)
}

// tour asks a peer for everything that it does.
func tour(ctx context.Context, d *dispatch.Dispatcher, to peer.ID, say printer) error {
	if err := askDivision(ctx, d, to, 47, 5, say); err != nil {
		return err
	}
	if err := askDivision(ctx, d, to, 1, 0, say); err != nil {
		return err
	}
	say("guesses a number from 1 to %d", limit)
	game, err := play(ctx, d, to)
	if err != nil {
		return err
	}
	if game.found == 0 {
		return errors.New("the peer left the game before the end")
	}
	say("found %d with %d guesses", game.found, game.guesses)
	return nil
}

// think thinks of a number from 1 to limit.
func think() uint32 {
	return 1 + rand.Uint32N(limit) //nolint:gosec // a game, not a secret that anybody relies on
}

// with runs f with a new peer on a UDP address and parts from all others after.
func with(address string, f func(*socket.Host, *dispatch.Dispatcher) error) (err error) {
	host, err := socket.Listen(socket.Config{Key: must(peer.GenerateKey()), Listen: address})
	if err != nil {
		return err
	}
	d := must(dispatch.New(host, dispatch.Config{}))
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), closing)
		defer cancel()
		err = errors.Join(err, d.Close(ctx), host.Shutdown(ctx))
	}()
	return f(host, d)
}

// reachable is an address at which this machine reaches its own socket.
func reachable(a net.Addr) net.Addr {
	if u, ok := a.(*net.UDPAddr); ok && u.IP.IsUnspecified() {
		return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: u.Port}
	}
	return a
}

// explain says what a user can do about a failed dial.
func explain(err error) error {
	switch {
	case errors.Is(err, socket.Authentication):
		return fmt.Errorf("%w; the other peer has a new key each time it starts: take the line it prints now", err)
	case errors.Is(err, socket.Refused), errors.Is(err, socket.Timeout):
		return fmt.Errorf("%w; does the other peer still run?", err)
	}
	return err
}

// printer prints one line.
type printer func(format string, args ...any)

// screen keeps the lines of peers that print at the same time whole.
type screen struct {
	mu sync.Mutex
	w  io.Writer
}

// printer returns a printer whose lines begin with a name.
func (s *screen) printer(name string) printer {
	return func(format string, args ...any) {
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprintf(s.w, name+format+"\n", args...)
	}
}
