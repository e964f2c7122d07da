package dispatch

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"

	"parley/dispatch/internal/router"
	"parley/wire"
)

var (
	errOver      = errors.New("the conversation is over")
	errNotInTurn = errors.New("only in a turn of the conversation")
	errNoRequest = errors.New("no message is being handled that could be answered")
)

// sending says how a message is sent.
type sending struct {
	flags     wire.Flags
	inReplyTo uint64
	question  *question
	wait      bool // for credit
}

// op is what the caller did.
func (how *sending) op() string {
	switch {
	case how.question != nil:
		return "request"
	case how.inReplyTo != 0:
		return "reply"
	}
	return "send"
}

// Send sends a message. It waits while the peer has not granted enough credit, and
// while the transport is full; other conversations are not held up by that. In a
// turn it keeps the turn: two ends that both wait like this for each other wait for
// ever, so an end whose peer may do the same uses SendContext or [TrySend].
//
// A message may cost more than [Window]: it is sent when half the window is open, and
// what follows waits until the peer has handled it.
//
// A nil error means that the message has been queued; it arrives unless the session
// or the conversation ends first. The error is an [*Error]: Aborted if the
// conversation is over, with the reason; InvalidArgument if m cannot be encoded;
// ResourceExhausted if it is over the limit for a message, after which the
// conversation goes on; Unavailable if the session fails.
func (c *Conversation) Send(m proto.Message) error {
	return c.send(c.ctx, m, sending{flags: wire.FlagOneWay, wait: true})
}

// SendContext is [Conversation.Send] that waits no longer than ctx.
func (c *Conversation) SendContext(ctx context.Context, m proto.Message) error {
	return c.send(ctx, m, sending{flags: wire.FlagOneWay, wait: true})
}

// TrySend is [Conversation.Send] that returns ErrWouldBlock instead of waiting for
// credit. It may still wait for the transport.
func (c *Conversation) TrySend(m proto.Message) error {
	return c.send(c.ctx, m, sending{flags: wire.FlagOneWay})
}

// Reply answers the message being handled, so that the peer's reply handler gets
// it, see [Request]. It belongs in a turn; without a message to answer it fails
// with FailedPrecondition. [OnRequest] does it by itself.
func (c *Conversation) Reply(m proto.Message) error {
	if c.current == nil || c.current.replied || c.current.info.ID.Seq == 0 {
		return &Error{Code: wire.FailedPrecondition, Op: "reply", Peer: c.s.peer, Err: errNoRequest}
	}
	err := c.send(c.ctx, m, sending{inReplyTo: c.current.info.ID.Seq, flags: wire.FlagOneWay, wait: true})
	if err == nil {
		c.current.replied = true
	}
	return err
}

// question is a request within a conversation that waits for its reply.
type question struct {
	then   func(c *Conversation, m *delivery, err error) error // in a turn
	called bool
}

// call calls then, once: of several replies the first counts.
func (q *question) call(c *Conversation, m *delivery, err error) error {
	if q.called {
		c.s.d.drop(router.NoRequest)
		return nil
	}
	q.called = true
	return q.then(c, m, err)
}

// resumption tells a conversation that a question's context has ended.
type resumption struct {
	q   *question
	err error
}

// A question hears of its reply, and of its end, by way of the conversation.

func (q *question) reply(arrival) bool { return false }
func (q *question) lost(error)         {}

// Request sends a message that the peer answers within the conversation, and calls
// then with the reply, in a turn and with the conversation's state (D4). It waits
// only to send. Then gets the reply, or an error: a [*PeerError] if the peer said
// so, otherwise an [*Error], DeadlineExceeded or Canceled if ctx ends first. It is
// called at most once, and not at all if the conversation ends first: OnEnd is.
// What it returns is treated as with [On]. A reply that comes too late goes to the
// case for its type, and is dropped if there is none.
//
// S and M are inferred from then. The error is that of [Conversation.Send], or
// InvalidArgument, at once, if the conversation's state is no S.
func Request[S any, M proto.Message](ctx context.Context, c *Conversation, m proto.Message, then func(s S, c *Conversation, reply M, err error) error) error {
	if then == nil {
		return &Error{Code: wire.InvalidArgument, Op: "request", Peer: c.s.peer, Err: errNoFunction}
	}
	k, err := kindOf[M](c.s.d)
	if err == nil {
		err = hasState[S](c)
	}
	if err != nil {
		return &Error{Code: wire.InvalidArgument, Op: "request", Peer: c.s.peer, Err: err}
	}
	q := &question{}
	q.then = func(c *Conversation, m *delivery, err error) error {
		var reply M
		switch {
		case err != nil:
		case m.number != k.number:
			err = &Error{Code: wire.Internal, Op: "request", Peer: c.s.peer, Err: errors.New("the reply is no " + string(k.name))}
		default:
			if reply, err = decode[M](c.s.d, k, m.payload); err != nil {
				err = &Error{Code: wire.Internal, Op: "request", Peer: c.s.peer, Err: fmt.Errorf("the %s that came does not parse: %w", k.name, err)}
			}
		}
		return then(stateOf[S](c), c, reply, err)
	}
	return c.send(ctx, m, sending{question: q, wait: true})
}

// hasState reports, as nil, that the state of c is an S.
func hasState[S any](c *Conversation) error {
	if _, ok := c.state.(*S); !ok {
		return fmt.Errorf("the conversation's state is no %v", reflect.TypeFor[S]())
	}
	return nil
}

// stateOf returns the state of c, which hasState, in a turn.
func stateOf[S any](c *Conversation) S { return c.machine.(*running[S]).s }

// send sends a message of the conversation. Those who send at once take turns, so
// that what the router numbered first is queued first.
func (c *Conversation) send(ctx context.Context, m proto.Message, how sending) error {
	s := c.s
	if !isMessage(m) {
		return &Error{Code: wire.InvalidArgument, Op: how.op(), Peer: s.peer, Err: errNoMessage}
	}
	k, err := s.d.kinds.of(m.ProtoReflect().Type())
	if err != nil {
		return &Error{Code: wire.InvalidArgument, Op: how.op(), Peer: s.peer, Err: err}
	}
	select {
	case c.sender <- struct{}{}:
	default:
		if !how.wait {
			return ErrWouldBlock
		}
		select {
		case c.sender <- struct{}{}:
		case <-ctx.Done():
			return c.sendError(ctx, how.op())
		case <-c.over:
			return c.sendError(ctx, how.op())
		}
	}
	defer func() { <-c.sender }()

	size := proto.Size(m)
	cost := router.Cost(size)
	o, err := c.number(ctx, cost, how)
	if err != nil {
		return err
	}
	h := wire.Header{
		Type: k.number, Flags: how.flags, ID: o.ID,
		InReplyTo: o.InReplyTo, Regards: o.Regards, RegardsID: o.RegardsID,
	}
	if q := how.question; q != nil {
		h.Timeout = timeLeft(ctx)
	}
	buf, err := encode(&h, m, size)
	if err != nil {
		c.unsend(o.ID, cost, o.Regards == wire.RegardsNone)
		return &Error{Code: wire.InvalidArgument, Op: how.op(), Peer: s.peer, Err: err}
	}
	defer release(buf)
	if q := how.question; q != nil && ctx.Done() != nil {
		c.watch(ctx, q, o.ID)
	}
	if err := s.d.transport.Send(ctx, s.peer, s.id, c.lane(), *buf); err != nil {
		c.unwatch(how.question)
		failure, maybeSent := sendFailure(how.op(), s.peer, err, len(*buf))
		if maybeSent {
			// Nobody knows what the peer has counted.
			c.finish(failure, wire.DataLoss, "a message may be lost")
			return failure
		}
		c.unsend(o.ID, cost, o.Regards == wire.RegardsNone)
		if ctx.Err() != nil || !c.isLive() {
			return c.sendError(ctx, how.op())
		}
		return failure
	}
	return nil
}

// watch has q learn of the end of ctx instead of its reply, message id.
func (c *Conversation) watch(ctx context.Context, q *question, id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ago {
		return // OnEnd is what it gets
	}
	if c.stops == nil {
		c.stops = make(map[*question]func() bool)
	}
	c.stops[q] = context.AfterFunc(ctx, func() {
		c.unwatch(q)
		if c.s.forget(id) {
			c.tell(resumption{q, ctxError(ctx, "request", c.s.peer)})
		}
	})
}

// unwatch lets go of q's context, if it has one.
func (c *Conversation) unwatch(q *question) {
	c.mu.Lock()
	stop := c.stops[q]
	delete(c.stops, q)
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// lane keeps the blocks of the conversation in order.
func (c *Conversation) lane() uint64 { return c.key.ID }

// number gives a message its number, waiting for credit.
func (c *Conversation) number(ctx context.Context, cost uint64, how sending) (router.Outgoing, error) {
	for {
		o, err := c.tryNumber(cost, how)
		switch {
		case err == nil:
			return o, nil
		case errors.Is(err, router.ErrLimit):
			return o, tooMany("request", c.s.peer, "messages wait for a reply")
		case errors.Is(err, router.ErrEnded):
			return o, c.sendError(ctx, how.op())
		case !how.wait:
			return o, ErrWouldBlock
		}
		select {
		case <-c.credit:
		case <-c.over:
			return o, c.sendError(ctx, how.op())
		case <-ctx.Done():
			return o, c.sendError(ctx, how.op())
		}
	}
}

func (c *Conversation) tryNumber(cost uint64, how sending) (router.Outgoing, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if how.question != nil {
		return c.s.r.Request(c.key, cost, how.question)
	}
	return c.s.r.Send(c.key, cost, how.inReplyTo)
}

// unsend takes back a message that was numbered and has not been sent.
func (c *Conversation) unsend(id, cost uint64, first bool) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.r.Unsend(c.key, id, cost, first)
}

// sendError says why nothing can be sent.
func (c *Conversation) sendError(ctx context.Context, op string) error {
	if !c.isLive() {
		why := c.Err()
		if why == nil {
			why = errOver
		}
		return &Error{Code: wire.Aborted, Op: op, Peer: c.s.peer, Err: why}
	}
	return ctxError(ctx, op, c.s.peer)
}

// Do has f run in a turn of the conversation, with its state: the way for other
// goroutines, or other conversations, to hand it work. It does not wait. An error
// of f is treated as with [On]. S is inferred from f.
//
// The error is an [*Error]: Aborted if the conversation is over, ResourceExhausted
// if Limits.MaxPosted functions wait already, InvalidArgument if its state is no S. If
// the conversation ends before f's turn, f is not called.
func Do[S any](c *Conversation, f func(s S, c *Conversation) error) error {
	if err := hasState[S](c); err != nil {
		return &Error{Code: wire.InvalidArgument, Op: "do", Peer: c.s.peer, Err: err}
	}
	if !c.isLive() {
		return c.sendError(c.ctx, "do")
	}
	if c.posted.Add(1) > int32(c.s.d.config.Limits.MaxPosted) {
		c.posted.Add(-1)
		return tooMany("do", c.s.peer, "functions wait for a turn")
	}
	err := c.ref.Tell(posted{func() error {
		return f(stateOf[S](c), c)
	}})
	if err != nil {
		return c.sendError(c.ctx, "do")
	}
	return nil
}
