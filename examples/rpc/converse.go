package main

import (
	"context"

	"parley/dispatch"
	"parley/examples/rpc/rpcpb"
	"parley/peer"
	"parley/wire"
)

// game is what the end that thought of a number remembers, for one conversation.
type game struct{ secret, low, high uint32 }

func (g *game) guess(c *dispatch.Conversation, m *rpcpb.Guess) error {
	switch n := m.GetNumber(); {
	case n < g.low || n > g.high:
		return dispatch.Errorf(wire.OutOfRange, "%d is not from %d to %d", n, g.low, g.high)
	case n < g.secret:
		g.low = n + 1
	case n > g.secret:
		g.high = n - 1
	default:
		g.low, g.high = n, n
	}
	return c.Send(&rpcpb.Range{Low: g.low, High: g.high})
}

// serveGames plays with each peer that sends Play: any number of games at a time.
func serveGames(d *dispatch.Dispatcher, limit uint32, think func() uint32) error {
	return dispatch.Converse(d, func(c *dispatch.Conversation, _ *rpcpb.Play) (*game, error) {
		return &game{think(), 1, limit}, c.Send(&rpcpb.Range{Low: 1, High: limit})
	}, must(dispatch.NewBehavior(dispatch.On((*game).guess))))
}

// search is what the end that guesses remembers. Nothing is found before the end.
type search struct{ guesses, found uint32 }

func (s *search) narrowed(c *dispatch.Conversation, r *rpcpb.Range) error {
	if r.GetLow() == r.GetHigh() {
		s.found = r.GetLow()
		c.End()
		return nil
	}
	s.guesses++
	return c.Send(&rpcpb.Guess{Number: r.GetLow() + (r.GetHigh()-r.GetLow())/2})
}

// play has a peer think of a number, finds it, and returns how that went.
func play(ctx context.Context, d *dispatch.Dispatcher, to peer.ID) (*search, error) {
	s := &search{}
	c, err := dispatch.Open(ctx, d, to, &rpcpb.Play{}, s, must(dispatch.NewBehavior(dispatch.On((*search).narrowed))))
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { c.Fail(context.Cause(ctx)) })()
	<-c.Done() // from here on s is ours
	return s, c.Err()
}
