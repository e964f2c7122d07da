package dispatch

import (
	"context"
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
// the cause of ctx, ResourceExhausted when Limits.MaxPending is reached, Internal
// if the reply is not a Resp. After Unavailable, DeadlineExceeded and Canceled the
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
	c := d.calls.Get().(*call)
	s, id, err := d.send(ctx, to, service, c, req)
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
	s.abandon(id)
	return none, err
}

// result makes what Ask returns of what came.
func result[Resp proto.Message](d *Dispatcher, from peer.ID, expect *kind, a arrival) (Resp, error) {
	var none Resp
	switch {
	case a.err != nil:
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
	_, _, err := d.sendMessage(ctx, to, wire.Header{Flags: wire.FlagOneWay}, nil, m)
	return err
}

// NotifyBestEffort is [Notify] for a message that may be lost on the way.
func NotifyBestEffort(ctx context.Context, d *Dispatcher, to peer.ID, m proto.Message) error {
	_, _, err := d.sendMessage(ctx, to, wire.Header{Flags: wire.FlagOneWay | wire.FlagBestEffort}, nil, m)
	return err
}

// bound gives ctx a deadline if it has none.
func (d *Dispatcher) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok || d.config.AskTimeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d.config.AskTimeout)
}

// send sends a request and has its reply go to a.
func (d *Dispatcher) send(ctx context.Context, to peer.ID, service uint32, a asker, m proto.Message) (*session, uint64, error) {
	h := wire.Header{Timeout: timeLeft(ctx)}
	if service != 0 {
		h.Regards, h.RegardsID = wire.RegardsService, uint64(service)
	}
	return d.sendMessage(ctx, to, h, a, m)
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
func (d *Dispatcher) sendMessage(ctx context.Context, to peer.ID, h wire.Header, a asker, m proto.Message) (*session, uint64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, ctxError(ctx, "send to", to)
	}
	if m == nil {
		return nil, 0, &Error{Code: wire.InvalidArgument, Op: "send to", Peer: to, Err: errNoMessage}
	}
	k, err := d.kinds.of(m.ProtoReflect().Type())
	if err != nil {
		return nil, 0, &Error{Code: wire.InvalidArgument, Op: "send to", Peer: to, Err: err}
	}
	s, err := d.session("send to", to)
	if err != nil {
		return nil, 0, err
	}
	h.Type = k.number
	size := proto.Size(m)
	if h.ID, err = s.number(a); err != nil {
		return nil, 0, err
	}
	buf, err := encode(&h, m, size)
	if err != nil {
		s.forgetIf(a, h.ID)
		return s, h.ID, &Error{Code: wire.InvalidArgument, Op: "send to", Peer: to, Err: err}
	}
	defer release(buf)
	send := d.transport.Send
	if h.Flags&wire.FlagBestEffort != 0 {
		send = d.transport.SendBestEffort
	}
	if err := send(ctx, to, s.id, h.ID, *buf); err != nil {
		if a != nil && len(*buf) > wire.MaxLaneBlock {
			s.abandon(h.ID) // it may have arrived
		} else {
			s.forgetIf(a, h.ID)
		}
		if ctx.Err() != nil {
			return s, h.ID, ctxError(ctx, "send to", to)
		}
		return s, h.ID, unavailable("send to", to, err)
	}
	return s, h.ID, nil
}

// number gives a message its number and registers a, unless nil, for its reply.
func (s *session) number(a asker) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return 0, s.over
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

// abandon gives up on a reply and tells the peer, if it was still expected.
func (s *session) abandon(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.r.Forget(id) {
		s.outbox.cancel(id)
	}
}
