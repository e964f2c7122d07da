package dispatch

import (
	"context"
	"errors"
	"iter"
	"sync"

	"google.golang.org/protobuf/proto"

	"parley/dispatch/internal/router"
	"parley/peer"
	"parley/wire"
)

// HandleMany is [Handle] for requests with any number of replies (D3): f calls
// reply for each, which waits while the transport is full, and fails when the peer
// has given up or the session is over. What f returns ends the exchange.
func HandleMany[Req, Resp proto.Message](d *Dispatcher, f func(ctx context.Context, req Req, reply func(Resp) error) error) error {
	if f == nil {
		return errNoFunction
	}
	req, err := kindOf[Req](d)
	if err != nil {
		return err
	}
	resp, err := kindOf[Resp](d)
	if err != nil {
		return err
	}
	return d.register(0, &handler{
		class: router.Answered, kind: req, reply: resp,
		stream: func(ctx context.Context, payload []byte, send func(proto.Message) error) error {
			m, err := decode[Req](d, req, payload)
			if err != nil {
				return &payloadError{err}
			}
			return f(ctx, m, func(r Resp) error { return send(r) })
		},
	})
}

// runStream calls a handler with many replies.
func (q *request) runStream() {
	err := q.h.stream(&q.ctx, q.payload, func(m proto.Message) error {
		if q.ctx.Err() != nil {
			return ctxError(&q.ctx, "reply", q.s.peer)
		}
		if !isMessage(m) {
			return errNoReply
		}
		if q.id == 0 {
			return nil
		}
		return q.send(q.h.reply, m, wire.FlagMore)
	})
	if err != nil {
		q.fail(err)
		return
	}
	q.refuse(wire.OK, "")
}

// replies collects what comes for an AskMany.
type replies struct {
	ready chan struct{} // capacity 1: there is something to look at

	mu    sync.Mutex
	queue []arrival
	cost  uint64
	full  bool
}

func (r *replies) reply(a arrival) (enough bool) { return r.add(a) }

func (r *replies) lost(why error) { r.add(arrival{err: why}) }

// add reports whether a is one too many.
func (r *replies) add(a arrival) (full bool) {
	r.mu.Lock()
	switch cost := router.Cost(len(a.payload)); {
	case r.full:
	case len(r.queue) > 0 && r.cost+cost > Window:
		r.full = true
		r.queue = append(r.queue, arrival{err: errNotRead})
	default:
		r.cost += cost
		r.queue = append(r.queue, a)
	}
	full = r.full
	r.mu.Unlock()
	select {
	case r.ready <- struct{}{}:
	default:
	}
	return full
}

func (r *replies) take() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queue
	r.queue, r.cost = nil, 0
	return q
}

var errNotRead = errors.New("replies came faster than they were read")

// AskMany is [Ask] for a request with any number of replies (D3). It sends when
// the loop begins and gives up when the loop is left:
//
//	for line, err := range dispatch.AskMany[*pb.Line](ctx, d, id, &pb.Tail{}) {
//
// An error is the last thing to come; its kinds are those of Ask, and
// ResourceExhausted as well when Window bytes of replies have not been read:
// replies to a request have no credit, so let those who may fall behind converse.
// Config.AskTimeout bounds the whole if ctx has no deadline.
func AskMany[Resp, Req proto.Message](ctx context.Context, d *Dispatcher, to peer.ID, req Req) iter.Seq2[Resp, error] {
	return func(yield func(Resp, error) bool) {
		var none Resp
		expect, err := kindOf[Resp](d)
		if err != nil {
			yield(none, &Error{Code: wire.InvalidArgument, Op: "ask", Peer: to, Err: err})
			return
		}
		ctx, cancel := d.bound(ctx)
		defer cancel()
		s, err := d.slot(ctx, to)
		if err != nil {
			yield(none, err)
			return
		}
		defer s.free()
		r := &replies{ready: make(chan struct{}, 1)}
		id, err := d.send(ctx, s, 0, r, req)
		if err != nil {
			yield(none, err)
			return
		}
		defer s.abandon(ctx, id)
		for {
			select {
			case <-r.ready:
			case <-ctx.Done():
				yield(none, ctxError(ctx, "ask", to))
				return
			case <-d.closing:
				yield(none, unavailable("ask", to, errClosed))
				return
			}
			for _, a := range r.take() {
				m, err := many[Resp](d, to, expect, a)
				if errors.Is(err, errDone) || !yield(m, err) || err != nil || a.last {
					return
				}
			}
		}
	}
}

// errDone marks the end of the replies.
var errDone = errors.New("done")

func many[Resp proto.Message](d *Dispatcher, from peer.ID, expect *kind, a arrival) (Resp, error) {
	var none Resp
	if errors.Is(a.err, errNotRead) {
		return none, &Error{Code: wire.ResourceExhausted, Op: "ask", Peer: from, Err: errNotRead}
	}
	if a.err == nil && a.flags&wire.FlagError != 0 && parseStatus(from, a.payload) == nil {
		return none, errDone
	}
	return result[Resp](d, from, expect, a)
}
