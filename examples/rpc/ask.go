package main

import (
	"context"
	"errors"
	"time"

	"parley/dispatch"
	"parley/examples/rpc/rpcpb"
	"parley/peer"
	"parley/wire"
)

// serveDivision answers each Divide that a peer sends. It keeps nothing between
// two of them, and may run for many at once.
func serveDivision(d *dispatch.Dispatcher, say printer) error {
	return dispatch.Handle(d, func(ctx context.Context, req *rpcpb.Divide) (*rpcpb.Quotient, error) {
		a, b := req.GetDividend(), req.GetDivisor()
		say("%s wants %d / %d", dispatch.PeerOf(ctx).Short(), a, b)
		if b == 0 {
			return nil, dispatch.Errorf(wire.InvalidArgument, "%d cannot be divided by zero", a)
		}
		return &rpcpb.Quotient{Quotient: a / b, Remainder: a % b}, nil
	})
}

// askDivision has a peer divide a by b. That the peer refuses is an answer too;
// the error says that there was none.
func askDivision(ctx context.Context, d *dispatch.Dispatcher, to peer.ID, a, b int64, say printer) error {
	// The deadline crosses the wire: past it, the handler's context ends as well.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	q, err := dispatch.Ask[*rpcpb.Quotient](ctx, d, to, &rpcpb.Divide{Dividend: a, Divisor: b})
	if refusal, ok := errors.AsType[*dispatch.PeerError](err); ok {
		say("%d / %d is refused: %q (%v)", a, b, refusal.Message, refusal.Code)
		return nil
	}
	if err != nil {
		return err
	}
	say("%d / %d = %d, remainder %d", a, b, q.GetQuotient(), q.GetRemainder())
	return nil
}
