package dispatch

import (
	"context"
	"errors"

	"parley/actor"
	"parley/dispatch/internal/router"
	"parley/wire"
)

// receive is one turn.
func (c *Conversation) receive(a *actor.Context, msg any) {
	c.turn = a
	returned := false
	defer func() {
		c.turn = nil
		if returned { // otherwise Stop says what was being handled
			c.current = nil
		}
	}()
	c.handle(a, msg)
	returned = true
}

func (c *Conversation) handle(a *actor.Context, msg any) {
	switch m := msg.(type) {
	case *delivery:
		c.deliver(m)
	case posted:
		c.posted.Add(-1)
		if c.isLive() {
			c.check(m.f())
		}
	case resumption:
		if c.isLive() {
			c.check(m.q.call(c, nil, m.err))
		}
	case peerEnd:
		c.drained()
		a.Stop(nil)
	case actor.Terminated:
		child := c.children[m.Ref]
		delete(c.children, m.Ref)
		if child != nil && c.machine != nil && c.isLive() {
			c.machine.childEnded(c, child, child.Err())
		}
	}
}

// process hides the methods that the actor package calls.
type process struct{ c *Conversation }

func (p process) Receive(a *actor.Context, msg any) { p.c.receive(a, msg) }

// Stop is the last turn, whatever the end.
func (p process) Stop(_ *actor.Context, reason error) {
	c := p.c
	var panicked *actor.PanicError
	switch {
	case reason == nil: // settled by whoever stopped it
	case errors.As(reason, &panicked), errors.Is(reason, actor.ErrGoexit):
		c.logPanic(reason)
		c.endLocally(&Error{Code: wire.Internal, Op: "conversation", Peer: c.s.peer, Err: reason}, wire.Internal, "the handler failed")
	case errors.Is(reason, actor.ErrParentEnded):
		c.endLocally(&Error{Code: wire.Canceled, Op: "conversation", Peer: c.s.peer, Err: errParentEnded}, wire.Canceled, "its parent has ended")
	default:
		c.endLocally(unavailable("conversation", c.s.peer, errClosed), wire.Unavailable, errClosed.Error())
	}
	c.current = nil
	c.drained()
	c.cancel(c.Err())
	if c.opened != nil {
		<-c.opened
	}
	if c.machine != nil && !c.stillborn {
		c.machine.ended(c, c.Err())
	}
}

// logPanic says whose message it was; the actor package logs the stack.
func (c *Conversation) logPanic(reason error) {
	name := ""
	if c.current != nil {
		if n, known := c.s.d.kinds.registry.Lookup(c.current.number); known {
			name = string(n)
		}
	}
	c.s.d.config.Logger.Error("panic in a conversation", "type", name, "peer", c.s.peer.Short(), "process", c.ref.ID(), "error", reason)
}

var errParentEnded = errors.New("the parent conversation has ended")

// isLive reports whether neither side has ended the conversation.
func (c *Conversation) isLive() bool {
	select {
	case <-c.over:
		return false
	default:
		return true
	}
}

// endedHere reports whether what was received is to be discarded.
func (c *Conversation) endedHere() bool { return c.ctx.Err() != nil }

// deliver handles a message, then gives its credit back: what waits to be handled
// never exceeds what was granted.
func (c *Conversation) deliver(m *delivery) {
	if c.endedHere() {
		c.cut(c.whyCut()) // who else ended it has said so
		c.s.d.drop(router.CrossedEnd)
		return
	}
	c.current = m
	c.check(c.dispatch(m))
	c.s.consumed(c.key, router.Cost(len(m.payload)))
}

// whyCut says why the context of all conversations of the session has ended.
func (c *Conversation) whyCut() error {
	if why, ours := errors.AsType[*Error](context.Cause(c.ctx)); ours {
		return why
	}
	return unavailable("conversation", c.s.peer, errClosed)
}

// check ends the conversation if a handler failed.
func (c *Conversation) check(err error) {
	if err == nil {
		return
	}
	code, text, whole := statusFor(err)
	if bad, malformed := errors.AsType[*payloadError](err); malformed {
		code, text, whole = wire.InvalidArgument, bad.text(), true
	}
	if !whole && c.isLive() {
		c.s.d.config.Logger.Warn("a conversation failed", "peer", c.s.peer.Short(), "error", err)
	}
	c.finish(&Error{Code: code, Op: "conversation", Peer: c.s.peer, Err: err}, code, text)
}

// dispatch finds out who handles a message: the beginning, a reply handler (D4)
// or the case for its type. An error ends the conversation.
func (c *Conversation) dispatch(m *delivery) error {
	d := c.s.d
	if m.begins != nil {
		machine, err := m.begins.begin(c, m.payload)
		if _, malformed := errors.AsType[*payloadError](err); malformed {
			d.drop(router.BadPayload)
		}
		if err == nil {
			c.machine = machine
		}
		return err
	}
	if m.answers != nil {
		c.unwatch(m.answers)
		if m.flags&wire.FlagError != 0 {
			err := parseStatus(c.s.peer, m.payload)
			if err == nil {
				err = &Error{Code: wire.Internal, Op: "request", Peer: c.s.peer, Err: errors.New("a status without an error came as the reply")}
			}
			return m.answers.call(c, nil, err)
		}
		return m.answers.call(c, m, nil)
	}
	if m.flags&wire.FlagError != 0 {
		d.drop(router.NoRequest) // a status for a request given up
		return nil
	}
	found, err := false, error(nil)
	if name, known := d.kinds.registry.Lookup(m.number); known {
		found, err = c.machine.handle(name, c, m.payload)
	}
	bad, malformed := errors.AsType[*payloadError](err)
	switch {
	case !found && m.inReplyTo != 0 && m.inReplyTo != c.key.ID:
		d.drop(router.NoRequest) // the reply to a request given up
		return nil
	case !found:
		d.drop(router.Unexpected)
		err = Errorf(wire.Unimplemented, "the conversation has no case for that message type")
	case malformed:
		d.drop(router.BadPayload)
		if m.wanted() {
			err = Errorf(wire.InvalidArgument, "%s", bad.text())
		}
	case err == nil && m.wanted() && !m.replied && c.isLive():
		// It can only be answered in this turn: who asked need not wait.
		err = Errorf(wire.Unimplemented, "the conversation does not answer that message type")
	default:
		return err
	}
	if m.wanted() {
		return c.refuse(err)
	}
	return err
}

// refuse answers the request being handled with a status. Its error ends the
// conversation.
func (c *Conversation) refuse(err error) error {
	m := c.current
	if m.replied || !m.wanted() {
		return err
	}
	m.replied = true
	code, text, whole := statusFor(err)
	if !whole {
		c.s.d.config.Logger.Warn("a request in a conversation failed", "peer", c.s.peer.Short(), "error", err)
	}
	return c.send(c.ctx, status(code, text), sending{flags: wire.FlagError, inReplyTo: m.info.ID.Seq, wait: true})
}
