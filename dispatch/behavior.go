package dispatch

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Behavior says what conversations of one kind do with what happens to them. S is
// their state, usually a pointer to a struct. A Behavior is built once and shared
// by all conversations of the kind; it never changes.
type Behavior[S any] struct {
	cases      map[protoreflect.FullName]*Case[S]
	end        func(s S, c *Conversation, err error)
	childEnded func(s S, c, child *Conversation, err error)
}

// Case is one line of a [Behavior]: made by [On], [OnRequest], [OnEnd] or
// [OnChildEnd].
type Case[S any] struct {
	err        error
	name       protoreflect.FullName
	proto      protoreflect.MessageType
	handle     func(d *Dispatcher, k *kind, s S, c *Conversation, payload []byte) error
	end        func(s S, c *Conversation, err error)
	childEnded func(s S, c, child *Conversation, err error)
}

// NewBehavior makes a Behavior of its cases. It refuses a message type that is not
// concrete or has two cases, a case without a function, and more than one of
// OnEnd and OnChildEnd each.
func NewBehavior[S any](cases ...Case[S]) (*Behavior[S], error) {
	b := &Behavior[S]{cases: make(map[protoreflect.FullName]*Case[S])}
	for i := range cases {
		c := &cases[i]
		switch {
		case c.err != nil:
			return nil, c.err
		case c.end != nil:
			if b.end != nil {
				return nil, errors.New("dispatch: two cases of OnEnd")
			}
			b.end = c.end
		case c.childEnded != nil:
			if b.childEnded != nil {
				return nil, errors.New("dispatch: two cases of OnChildEnd")
			}
			b.childEnded = c.childEnded
		case c.handle == nil:
			return nil, errNoFunction
		case b.cases[c.name] != nil:
			return nil, fmt.Errorf("dispatch: two cases for %s", c.name)
		default:
			b.cases[c.name] = c
		}
	}
	return b, nil
}

// MustBehavior is [NewBehavior] that panics where that returns an error: all its
// errors are mistakes in the program. It is for variables of a package, like
// regexp.MustCompile.
func MustBehavior[S any](cases ...Case[S]) *Behavior[S] {
	b, err := NewBehavior(cases...)
	if err != nil {
		panic(err)
	}
	return b
}

// On says what to do with a message of type M. An error ends the conversation:
// the peer is told its status, see [Errorf]. If the peer sent it with [Request] and
// f does not [Conversation.Reply], the peer is told Unimplemented. Method expressions
// fit:
//
//	dispatch.On((*chat).line)
func On[S any, M proto.Message](f func(s S, c *Conversation, m M) error) Case[S] {
	if f == nil {
		return Case[S]{err: errNoFunction}
	}
	return caseOf[S, M](func(s S, c *Conversation, m M) error { return f(s, c, m) })
}

// OnRequest answers a message of type Req that was sent with [Request]. Unlike
// with [On], an error does not end the conversation: its status is the answer.
// For a message that was merely sent, with [Conversation.Send], f is called as well:
// then its reply goes nowhere, and its error ends the conversation as with [On].
// What f sends goes out before its reply, which is sent when f returns: to send
// something after it, hand that to [Do].
func OnRequest[S any, Req, Resp proto.Message](f func(s S, c *Conversation, req Req) (Resp, error)) Case[S] {
	if f == nil {
		return Case[S]{err: errNoFunction}
	}
	if _, err := protoType[Resp](); err != nil {
		return Case[S]{err: err}
	}
	return caseOf[S, Req](func(s S, c *Conversation, m Req) error {
		resp, err := f(s, c, m)
		if err != nil {
			return c.refuse(err)
		}
		if !c.current.wanted() || c.current.replied {
			return nil // it was merely sent, or f has answered by itself
		}
		if !isMessage(resp) {
			return c.refuse(errNoReply)
		}
		return c.Reply(resp)
	})
}

func caseOf[S any, M proto.Message](f func(s S, c *Conversation, m M) error) Case[S] {
	t, err := protoType[M]()
	if err != nil {
		return Case[S]{err: err}
	}
	return Case[S]{
		name: t.Descriptor().FullName(), proto: t,
		handle: func(d *Dispatcher, k *kind, s S, c *Conversation, payload []byte) error {
			m, err := decode[M](d, k, payload)
			if err != nil {
				return &payloadError{err}
			}
			return f(s, c, m)
		},
	}
}

// OnEnd is told, once and last, that the conversation is over, and why: nil for a
// normal end of either side, a [*PeerError] with the peer's reason, or an [*Error].
// Its messages are out of reach then, but [Conversation.Peer] and ID still answer.
func OnEnd[S any](f func(s S, c *Conversation, err error)) Case[S] {
	if f == nil {
		return Case[S]{err: errNoFunction}
	}
	return Case[S]{end: f}
}

// OnChildEnd is told that a conversation opened with [OpenChild] is over, and why
// (A2). A child that ends because its parent does is not announced.
func OnChildEnd[S any](f func(s S, c, child *Conversation, err error)) Case[S] {
	if f == nil {
		return Case[S]{err: errNoFunction}
	}
	return Case[S]{childEnded: f}
}

// machine is the typed half of a conversation. It is called in its turns only.
type machine interface {
	// handle reports false if there is no case for k.
	handle(k protoreflect.FullName, c *Conversation, payload []byte) (found bool, err error)
	ended(c *Conversation, err error)
	childEnded(c, child *Conversation, err error)
}

// running is a state and what it does.
type running[S any] struct {
	s        S
	behavior *Behavior[S]
}

func (r *running[S]) handle(name protoreflect.FullName, c *Conversation, payload []byte) (bool, error) {
	found := r.behavior.cases[name]
	if found == nil {
		return false, nil
	}
	k, err := c.s.d.kinds.of(found.proto)
	if err != nil {
		return false, err
	}
	return true, found.handle(c.s.d, k, r.s, c, payload)
}

func (r *running[S]) ended(c *Conversation, err error) {
	if r.behavior.end != nil {
		r.behavior.end(r.s, c, err)
	}
}

func (r *running[S]) childEnded(c, child *Conversation, err error) {
	if r.behavior.childEnded != nil {
		r.behavior.childEnded(r.s, c, child, err)
	}
}

// learn makes the numbers of the cases' types known to d: a collision is an error
// when the kind of conversation is registered, not when a message comes.
func (b *Behavior[S]) learn(d *Dispatcher) error {
	if b == nil {
		return errors.New("dispatch: no behavior")
	}
	for _, c := range b.cases {
		if _, err := d.kinds.of(c.proto); err != nil {
			return err
		}
	}
	return nil
}
