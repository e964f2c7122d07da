package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/peer"
	"parley/wire"
)

// arrival is a reply as the reader left it.
type arrival struct {
	number  wire.Type
	flags   wire.Flags
	payload []byte // the holder's to keep
	last    bool
	err     error // none will come
}

// call is an Ask that waits. A call is reused, by the Dispatcher that made it: a
// channel belongs to one synctest bubble.
type call struct {
	done chan arrival // capacity 1: the reader does not wait
}

func newCall() any { return &call{make(chan arrival, 1)} }

// reply takes the first of several replies.
func (c *call) reply(a arrival) (enough bool) {
	c.done <- a
	return true
}

func (c *call) lost(why error) { c.done <- arrival{err: why} }

// Ask sends a request to a peer and waits for its reply (D10):
//
//	pong, err := dispatch.Ask[*pb.Pong](ctx, d, id, &pb.Ping{})
//
// The deadline of ctx crosses the wire and bounds the handler too; when ctx ends
// before the reply came, the peer is told to give up and a late reply is dropped.
// Without a deadline Config.AskTimeout applies.
//
// The error is a [*PeerError] if the peer said so, otherwise an [*Error]:
// Unavailable if there is no session or it ends, DeadlineExceeded or Canceled with
// the cause of ctx, ResourceExhausted when Limits.MaxPending is reached or req is over
// the limit for a message, InvalidArgument if there is no req or it cannot be encoded,
// or to is no peer or this side, Internal
// if the reply is not a Resp. While MaxConcurrentAsks are under way it waits. After Unavailable, DeadlineExceeded and Canceled the
// request may have been handled all the same.
func Ask[Resp, Req proto.Message](ctx context.Context, d *Dispatcher, to peer.ID, req Req) (Resp, error) {
	return ask[Resp](ctx, d, to, 0, req)
}

// AskService is [Ask] for a service by its well-known number, not zero (D7).
func AskService[Resp, Req proto.Message](ctx context.Context, d *Dispatcher, to peer.ID, number uint32, req Req) (Resp, error) {
	if number == 0 {
		var none Resp
		return none, &Error{Code: wire.InvalidArgument, Op: "ask", Peer: to, Err: fmt.Errorf("zero is no service number")}
	}
	return ask[Resp](ctx, d, to, number, req)
}

func ask[Resp, Req proto.Message](ctx context.Context, d *Dispatcher, to peer.ID, service uint32, req Req) (Resp, error) {
	var none Resp
	expect, err := kindOf[Resp](d)
	if err != nil {
		return none, &Error{Code: wire.InvalidArgument, Op: "ask", Peer: to, Err: err}
	}
	ctx, cancel := d.bound(ctx)
	defer cancel()
	s, err := d.slot(ctx, to)
	if err != nil {
		return none, err
	}
	defer s.free()
	c := d.calls.Get().(*call)
	id, err := d.send(ctx, s, service, c, req)
	if err != nil {
		if id == 0 {
			d.calls.Put(c) // it was never registered
		}
		return none, err
	}
	select {
	case a := <-c.done:
		d.calls.Put(c)
		return result[Resp](d, to, expect, a)
	case <-ctx.Done():
		err = ctxError(ctx, "ask", to)
	case <-d.closing:
		err = unavailable("ask", to, errClosed)
	}
	s.abandon(ctx, id)
	return none, err
}

// result makes what Ask returns of what came.
func result[Resp proto.Message](d *Dispatcher, from peer.ID, expect *kind, a arrival) (Resp, error) {
	var none Resp
	switch {
	case a.err != nil:
		if over, ours := errors.AsType[*Error](a.err); ours {
			return none, over.during("ask")
		}
		return none, a.err
	case a.flags&wire.FlagError != 0:
		if err := parseStatus(from, a.payload); err != nil {
			return none, err
		}
		return none, &Error{Code: wire.Internal, Op: "ask", Peer: from, Err: fmt.Errorf("a status without an error came for a %s", expect.name)}
	case a.number != expect.number:
		return none, &Error{Code: wire.Internal, Op: "ask", Peer: from, Err: fmt.Errorf("type %v came for a %s", a.number, expect.name)}
	}
	m, err := decode[Resp](d, expect, a.payload)
	if err != nil {
		return none, &Error{Code: wire.Internal, Op: "ask", Peer: from, Err: fmt.Errorf("the %s that came does not parse: %w", expect.name, err)}
	}
	return m, nil
}

// Notify sends a message that is not answered. It returns when the transport has
// taken it; whether a handler ran is not known. The error is an [*Error].
func Notify(ctx context.Context, d *Dispatcher, to peer.ID, m proto.Message) error {
	return d.notify(ctx, to, wire.FlagOneWay, m)
}

// NotifyBestEffort is [Notify] for a message that may be lost on the way.
func NotifyBestEffort(ctx context.Context, d *Dispatcher, to peer.ID, m proto.Message) error {
	return d.notify(ctx, to, wire.FlagOneWay|wire.FlagBestEffort, m)
}

func (d *Dispatcher) notify(ctx context.Context, to peer.ID, flags wire.Flags, m proto.Message) error {
	s, err := d.session("notify", to)
	if err != nil {
		return err
	}
	_, err = s.sendMessage(ctx, wire.Header{Flags: flags}, nil, m)
	return err
}

// slot waits until one more request to that peer may be under way, in the current
// session. What it returns must be freed.
func (d *Dispatcher) slot(ctx context.Context, to peer.ID) (*session, error) {
	s, err := d.session("ask", to)
	if err != nil {
		return nil, err
	}
	select {
	case s.slots <- struct{}{}:
		return s, nil
	default:
	}
	select {
	case s.slots <- struct{}{}:
		return s, nil
	case <-ctx.Done():
		return nil, ctxError(ctx, "ask", to)
	case <-s.ctx.Done():
		return nil, unavailable("ask", to, context.Cause(s.ctx))
	}
}

func (s *session) free() { <-s.slots }

// bound gives ctx a deadline if it has none.
func (d *Dispatcher) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok || d.config.AskTimeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d.config.AskTimeout)
}

// send sends a request and has its reply go to a.
func (d *Dispatcher) send(ctx context.Context, s *session, service uint32, a asker, m proto.Message) (uint64, error) {
	h := wire.Header{Timeout: timeLeft(ctx)}
	if service != 0 {
		h.Regards, h.RegardsID = wire.RegardsService, uint64(service)
	}
	return s.sendMessage(ctx, h, a, m)
}

// timeLeft returns the time until ctx ends, 0 if it has no deadline.
func timeLeft(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(time.Until(deadline), 1)
	}
	return 0
}

// sendMessage sends a message that regards nothing. If a is not nil, it is
// registered for the reply, and taken out again if sending fails; the id is not
// zero once it has been registered.
func (s *session) sendMessage(ctx context.Context, h wire.Header, a asker, m proto.Message) (uint64, error) {
	d, to, op := s.d, s.peer, "notify"
	if a != nil {
		op = "ask"
	}
	if err := ctx.Err(); err != nil {
		return 0, ctxError(ctx, op, to)
	}
	if !isMessage(m) {
		return 0, &Error{Code: wire.InvalidArgument, Op: op, Peer: to, Err: errNoMessage}
	}
	k, err := d.kinds.of(m.ProtoReflect().Type())
	if err != nil {
		return 0, &Error{Code: wire.InvalidArgument, Op: op, Peer: to, Err: err}
	}
	h.Type = k.number
	size := proto.Size(m)
	if h.ID, err = s.number(a); err != nil {
		return 0, err
	}
	buf, err := encode(&h, m, size)
	if err != nil {
		s.forgetIf(a, h.ID)
		return h.ID, &Error{Code: wire.InvalidArgument, Op: op, Peer: to, Err: err}
	}
	defer release(buf)
	send := d.transport.Send
	if h.Flags&wire.FlagBestEffort != 0 {
		send = d.transport.SendBestEffort
	}
	if err := send(ctx, to, s.id, h.ID, *buf); err != nil {
		failure, maybeSent := sendFailure(op, to, err, len(*buf))
		if a != nil && maybeSent {
			s.abandon(ctx, h.ID)
		} else {
			s.forgetIf(a, h.ID)
		}
		if ctx.Err() != nil {
			return h.ID, ctxError(ctx, op, to)
		}
		return h.ID, failure
	}
	return h.ID, nil
}

// number gives a message its number and registers a, unless nil, for its reply.
func (s *session) number(a asker) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return 0, s.over.during("ask")
	}
	if a == nil {
		return s.r.Next(), nil
	}
	id, err := s.r.Ask(a)
	if err != nil {
		return 0, tooMany("ask", s.peer, "messages wait for a reply")
	}
	return id, nil
}

// forget gives up on a reply and reports whether it was still expected.
func (s *session) forget(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.Forget(id)
}

func (s *session) forgetIf(a asker, id uint64) {
	if a != nil {
		s.forget(id)
	}
}

// abandon gives up on a reply and tells the peer, if it was still expected, whether
// the time of ctx has run out.
func (s *session) abandon(ctx context.Context, id uint64) {
	code := wire.Canceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = wire.DeadlineExceeded
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.r.Forget(id) {
		s.outbox.cancel(id, code)
	}
}
