package main

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/examples/rpc/rpcpb"
	"parley/wire"
)

// pair joins two peers in memory.
func pair(t *testing.T) (alice, bob *dispatch.Dispatcher) {
	t.Helper()
	a, b := dispatchtest.NewPair()
	alice, bob = must(dispatch.New(a, dispatch.Config{})), must(dispatch.New(b, dispatch.Config{}))
	dispatchtest.Connect(a, b)
	t.Cleanup(func() {
		if err := errors.Join(alice.Close(context.Background()), bob.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return alice, bob
}

func TestTour(t *testing.T) {
	alice, bob := pair(t)
	var out strings.Builder
	s := &screen{w: &out}
	if err := serve(bob, func() uint32 { return 77 }, s.printer("bob: ")); err != nil {
		t.Fatal(err)
	}
	if err := tour(t.Context(), alice, bob.LocalID(), s.printer("alice: ")); err != nil {
		t.Fatal(err)
	}
	want := `bob: ` + alice.LocalID().Short() + ` wants 47 / 5
alice: 47 / 5 = 9, remainder 2
bob: ` + alice.LocalID().Short() + ` wants 1 / 0
alice: 1 / 0 is refused: "1 cannot be divided by zero" (InvalidArgument)
alice: guesses a number from 1 to 100
bob: thinks of 77
alice: found 77 with 6 guesses
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

// TestEveryNumberIsFound: a game each, all of them at the same time.
func TestEveryNumberIsFound(t *testing.T) {
	alice, bob := pair(t)
	secrets := make(chan uint32, limit)
	for n := range uint32(limit) {
		secrets <- n + 1
	}
	if err := serveGames(bob, limit, func() uint32 { return <-secrets }); err != nil {
		t.Fatal(err)
	}
	type result struct {
		game *search
		err  error
	}
	results := make(chan result)
	for range limit {
		go func() {
			game, err := play(t.Context(), alice, bob.LocalID())
			results <- result{game, err}
		}()
	}
	found := map[uint32]bool{}
	for range limit {
		r := <-results
		if r.err != nil {
			t.Fatal(r.err)
		}
		if r.game.guesses > 7 {
			t.Errorf("%d took %d guesses, want at most 7", r.game.found, r.game.guesses)
		}
		found[r.game.found] = true
	}
	if len(found) != limit || found[0] {
		t.Errorf("found %d different numbers, want %d", len(found), limit)
	}
}

// TestGuessOutOfRange: the game of a peer that does not keep to it is over.
func TestGuessOutOfRange(t *testing.T) {
	alice, bob := pair(t)
	if err := serveGames(bob, limit, think); err != nil {
		t.Fatal(err)
	}
	rules := must(dispatch.NewBehavior(dispatch.On(func(_ *search, c *dispatch.Conversation, _ *rpcpb.Range) error {
		return c.Send(&rpcpb.Guess{Number: limit + 1})
	})))
	c, err := dispatch.Open(t.Context(), alice, bob.LocalID(), &rpcpb.Play{}, &search{}, rules)
	if err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	if err := c.Err(); !errors.Is(err, &dispatch.PeerError{Code: wire.OutOfRange}) {
		t.Errorf("the game ended with %v, want OutOfRange from the peer", err)
	}
}

// TestGameWithoutAnswer: a peer that falls silent holds play no longer than ctx.
func TestGameWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := pair(t)
		ended := make(chan error, 1)
		silent := must(dispatch.NewBehavior(dispatch.OnEnd(func(_ struct{}, _ *dispatch.Conversation, err error) { ended <- err })))
		err := dispatch.Converse(bob, func(*dispatch.Conversation, *rpcpb.Play) (struct{}, error) { return struct{}{}, nil }, silent)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := play(ctx, alice, bob.LocalID()); dispatch.CodeOf(err) != wire.DeadlineExceeded {
			t.Errorf("play: %v, want DeadlineExceeded", err)
		}
		if err := <-ended; !errors.Is(err, &dispatch.PeerError{Code: wire.DeadlineExceeded}) {
			t.Errorf("the other end ended with %v, want DeadlineExceeded from the peer", err)
		}
	})
}

// TestSmallestDividend: the one quotient that does not fit is no panic in Go.
func TestSmallestDividend(t *testing.T) {
	alice, bob := pair(t)
	var out strings.Builder
	s := &screen{w: &out}
	if err := serveDivision(bob, s.printer("")); err != nil {
		t.Fatal(err)
	}
	if err := askDivision(t.Context(), alice, bob.LocalID(), math.MinInt64, -1, s.printer("")); err != nil {
		t.Error(err)
	}
}
