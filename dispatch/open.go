package dispatch

import (
	"context"

	"google.golang.org/protobuf/proto"

	"parley/actor"
	"parley/dispatch/internal/router"
	"parley/peer"
	"parley/wire"
)

// Converse registers that a message of type M begins a conversation: begin makes
// its state, in the conversation's first turn, and b says what follows. An error
// of begin refuses the conversation with its status, see [Errorf]; then OnEnd is
// not called. A state may be nil if the Behavior copes with that.
//
// Begin may already send. The first message sent answers the begin; the peer's end
// handles it like any other. The error is as with [Handle].
func Converse[S any, M proto.Message](d *Dispatcher, begin func(c *Conversation, first M) (S, error), b *Behavior[S]) error {
	if begin == nil {
		return errNoFunction
	}
	k, err := kindOf[M](d)
	if err != nil {
		return err
	}
	if err := b.learn(d); err != nil {
		return err
	}
	return d.register(0, &handler{
		class: router.Conversing, kind: k, state: (*S)(nil),
		begin: func(c *Conversation, payload []byte) (machine, error) {
			m, err := decode[M](d, k, payload)
			if err != nil {
				return nil, &payloadError{err}
			}
			s, err := begin(c, m)
			if err != nil {
				return nil, err
			}
			return &running[S]{s, b}, nil
		},
	})
}

// Open begins a conversation with a peer: first is the message that the peer's
// [Converse] is registered for, s is this end's state, b says what to do with what
// comes back. It returns when the transport has taken the first message; whether
// the peer accepts shows later, an OnEnd with a [*PeerError] being a refusal. The
// Behavior may run before Open returns. Ctx bounds the sending of the first message
// alone: the conversation outlives it. If the peer handles that type with [Handle] or
// [HandleOneWay], the refusal is Unimplemented.
//
// The error is an [*Error]: Unavailable without a session, ResourceExhausted at
// Limits.MaxConversations or for a first message that is too large, and as with
// [Ask]. After an error there is no
// conversation; OnEnd is not called.
func Open[S any](ctx context.Context, d *Dispatcher, to peer.ID, first proto.Message, s S, b *Behavior[S]) (*Conversation, error) {
	if err := b.learn(d); err != nil {
		return nil, &Error{Code: wire.InvalidArgument, Op: "open", Peer: to, Err: err}
	}
	return d.open(ctx, nil, to, first, &running[S]{s, b}, (*S)(nil))
}

// OpenChild is [Open] for a child of another conversation, with the same peer or
// another (D18): it ends when its parent does, and its own end is told to the
// parent, see [OnChildEnd] (A2). It belongs in a turn of the parent. A parent with
// Limits.MaxDepth ancestors has no children.
func OpenChild[S any](ctx context.Context, parent *Conversation, to peer.ID, first proto.Message, s S, b *Behavior[S]) (*Conversation, error) {
	d := parent.s.d
	if err := b.learn(d); err != nil {
		return nil, &Error{Code: wire.InvalidArgument, Op: "open", Peer: to, Err: err}
	}
	if parent.turn == nil {
		return nil, &Error{Code: wire.FailedPrecondition, Op: "open", Peer: to, Err: errNotInTurn}
	}
	if parent.depth >= d.config.Limits.MaxDepth {
		return nil, tooMany("open", to, "ancestors")
	}
	return d.open(ctx, parent, to, first, &running[S]{s, b}, (*S)(nil))
}

func (d *Dispatcher) open(ctx context.Context, parent *Conversation, to peer.ID, first proto.Message, m machine, state any) (*Conversation, error) {
	const op = "open"
	if err := ctx.Err(); err != nil {
		return nil, ctxError(ctx, op, to)
	}
	if !isMessage(first) {
		return nil, &Error{Code: wire.InvalidArgument, Op: op, Peer: to, Err: errNoMessage}
	}
	k, err := d.kinds.of(first.ProtoReflect().Type())
	if err != nil {
		return nil, &Error{Code: wire.InvalidArgument, Op: op, Peer: to, Err: err}
	}
	s, err := d.session(op, to)
	if err != nil {
		return nil, err
	}
	size := proto.Size(first)
	c := newConversation(s, parent, state)
	c.machine, c.opened = m, make(chan struct{})
	c.sender <- struct{}{} // nobody else sends before the begin has gone
	if err := s.open(c, router.Cost(size)); err != nil {
		return nil, err
	}
	h := wire.Header{Type: k.number, ID: c.key.ID, Flags: wire.FlagBegin}
	buf, err := encode(&h, first, size)
	if err != nil {
		c.discard(false)
		return nil, &Error{Code: wire.InvalidArgument, Op: op, Peer: to, Err: err}
	}
	defer release(buf)
	if err := d.transport.Send(ctx, to, s.id, c.lane(), *buf); err != nil {
		failure, maybeSent := sendFailure(op, to, err, len(*buf))
		c.discard(maybeSent)
		if ctx.Err() != nil {
			return nil, ctxError(ctx, op, to)
		}
		return nil, failure
	}
	if parent != nil {
		if parent.children == nil {
			parent.children = make(map[*actor.Ref]*Conversation)
		}
		parent.children[c.ref] = c
	}
	close(c.opened)
	<-c.sender
	return c, nil
}

// open registers c and starts its process.
func (s *session) open(c *Conversation, cost uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return s.over.during("open")
	}
	id, err := s.r.Open(c, cost)
	if err != nil {
		return tooMany("open", s.peer, "conversations or replies waited for")
	}
	c.key = router.Key{Side: router.Ours, ID: id}
	spawn := s.d.system.Spawn
	if c.parent != nil {
		spawn = c.parent.turn.Spawn
	}
	c.ref, err = spawn(process{c}, actor.Options{OnEnd: c.gone})
	if err != nil {
		s.r.End(c.key)
		s.gone(c.key)
		return unavailable("open", s.peer, err)
	}
	return nil
}

// discard undoes an Open. The peer is told if it may have got the begin.
func (c *Conversation) discard(tell bool) {
	c.stillborn = true
	close(c.opened)
	why := &Error{Code: wire.Aborted, Op: "open", Peer: c.s.peer, Err: errOver}
	if tell {
		c.endLocally(why, wire.Canceled, "")
	} else {
		c.s.mu.Lock()
		c.s.r.End(c.key)
		c.s.mu.Unlock()
		c.settle(why)
	}
	c.ref.Stop(nil)
}
