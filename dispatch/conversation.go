package dispatch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"parley/actor"
	"parley/dispatch/internal/router"
	"parley/peer"
	"parley/wire"
)

// Conversation is one end of an exchange with a peer that has a beginning, a state
// and an end. Both ends hold one under the same id (D5). What happens to it is
// handled one at a time by its [Behavior]; different conversations run in parallel
// (D8).
//
//	             Open, or a begin arrives             End, Fail, a handler's error or
//	(nothing) ──────────────────────────▶ live ──────▶ panic, the peer's end, the parent's
//	                                                   end, the session's, Close
//	                                                        │
//	                                                        ▼       OnEnd has returned,
//	                                                      ending ─────────────────────▶ done
//
// live: messages are handled, sends pass. ending: sends fail. After a normal end of
// the peer's, what it sent before is handled first, even if the session ends
// meanwhile; after any other end it is discarded. OnEnd is not told nil if anything
// was discarded, except by an End of this side's own. done: nothing is left of it
// but this value.
//
// Methods may be called concurrently and from anywhere, except where they say
// that they belong in a turn: within a function of the Behavior, given to [Do] or
// to [Request].
type Conversation struct {
	s      *session
	key    router.Key
	ref    *actor.Ref
	parent *Conversation
	depth  int
	state  any // a nil pointer to the type of its state; that is there later

	ctx    context.Context
	cancel context.CancelCauseFunc
	over   chan struct{} // closed when it is no longer live
	done   chan struct{} // closed when it is done
	sender chan struct{} // holds a token while one sends: sends keep their order
	credit chan struct{} // capacity 1: has a token when there may be more credit
	posted atomic.Int32  // functions of Do that wait
	left   atomic.Int32  // what keeps its slot in the router: its process, its end block

	// For one that this side began: opened is closed when Open is about to
	// return, and then stillborn says that it failed.
	opened    chan struct{}
	stillborn bool

	mu    sync.Mutex
	ago   bool // no longer live
	drain bool // the peer ended it normally, and what it sent is still being handled
	err   error
	stops map[*question]func() bool // of the contexts of questions that wait

	// What follows belongs to its turns.

	machine  machine // nil until the begin has been handled
	turn     *actor.Context
	current  *delivery
	children map[*actor.Ref]*Conversation
}

// delivery is an arrived message on its way to its conversation.
type delivery struct {
	info      Info
	number    wire.Type
	flags     wire.Flags
	inReplyTo uint64
	payload   []byte
	begins    *handler  // it begins the conversation
	answers   *question // it answers that
	replied   bool
}

func (s *session) newDelivery(h *wire.Header, payload []byte, received time.Time) *delivery {
	return &delivery{
		info: infoOf(s, h, received), number: h.Type, flags: h.Flags, inReplyTo: h.InReplyTo, payload: payload,
	}
}

// wanted reports whether the peer waits for a reply to m.
func (m *delivery) wanted() bool {
	return m.flags&(wire.FlagOneWay|wire.FlagError) == 0 && m.info.ID.Seq != 0
}

// peerEnd follows the last message of a conversation that this side did not end.
type peerEnd struct{}

// posted is a function given to Do.
type posted struct{ f func() error }

func newConversation(s *session, parent *Conversation, state any) *Conversation {
	c := &Conversation{
		s: s, parent: parent, state: state,
		over: make(chan struct{}), done: make(chan struct{}),
		sender: make(chan struct{}, 1), credit: make(chan struct{}, 1),
	}
	if parent != nil {
		c.depth = parent.depth + 1
	}
	c.left.Store(1)
	// Of the session's end it is told by lost: what came before a normal end is
	// handled after it.
	ctx, cancel := context.WithCancelCause(s.talking)
	c.ctx, c.cancel = conversationContext{ctx, &s.peer}, cancel
	return c
}

// Peer returns who is at the other end.
func (c *Conversation) Peer() peer.ID { return c.s.peer }

// ID returns the id of the message that began the conversation: the same at both
// ends (D5).
func (c *Conversation) ID() wire.MessageID {
	if c.key.Side == router.Ours {
		return wire.MessageID{Sender: c.s.d.local, Incarnation: c.s.id, Seq: c.key.ID}
	}
	return wire.MessageID{Sender: c.s.peer, Incarnation: c.s.remote, Seq: c.key.ID}
}

// Context returns a context that ends with the conversation; [PeerOf] knows it.
// After a normal end by the peer it goes on until what the peer sent has been
// handled, whatever becomes of the session, unless the Dispatcher closes or what
// outlasts sessions exceeds Limits.MaxQueuedBytes. Whether
// anything can still be sent, it does not say.
func (c *Conversation) Context() context.Context { return c.ctx }

// Done returns a channel that is closed when the conversation is over, its
// children are, and OnEnd has returned. That is about this end: after an End of this
// side's own, what it sent may still be on its way and not handled. To know that the
// peer has handled everything, have it say so: with a reply, see [Request], or by
// leaving the end to it.
func (c *Conversation) Done() <-chan struct{} { return c.done }

// Err returns why the conversation is over: nil while it is live and after a
// normal end, otherwise what OnEnd is told.
func (c *Conversation) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Info describes the message being handled. It belongs in a turn; in a turn that
// handles no message it is the zero value.
func (c *Conversation) Info() Info {
	if c.current == nil {
		return Info{}
	}
	return c.current.info
}

// End ends the conversation normally. What has been sent before still arrives;
// what the peer has sent and was not yet handled is discarded. In a turn, the
// conversation is over when the turn is. Ending twice does nothing.
func (c *Conversation) End() { c.finish(nil, wire.OK, "") }

// Fail ends the conversation with an error: the peer is told its status, see
// [Errorf], and Err returns it.
func (c *Conversation) Fail(err error) {
	if err == nil {
		c.End()
		return
	}
	code, text, _ := statusFor(err)
	c.finish(&Error{Code: code, Op: "conversation", Peer: c.s.peer, Err: err}, code, text)
}

// finish ends the conversation from this side.
func (c *Conversation) finish(err error, code wire.Code, text string) {
	c.endLocally(err, code, text)
	c.ref.Stop(nil)
}

// endLocally records the end and owes the peer word of it, unless it is over.
func (c *Conversation) endLocally(err error, code wire.Code, text string) {
	s := c.s
	s.mu.Lock()
	open := s.r.End(c.key)
	if open {
		s.outbox.end(c, code, text)
	}
	s.mu.Unlock()
	if open {
		c.settle(err)
	} else if err != nil {
		c.cut(err)
	}
}

// cut records that what the peer sent before its normal end is not all handled.
func (c *Conversation) cut(err error) {
	c.mu.Lock()
	first := c.drain
	if first {
		c.drain, c.err = false, err
	}
	c.mu.Unlock()
	if first {
		c.cancel(err)
	}
}

// drained says that all the peer sent has been handled.
func (c *Conversation) drained() {
	c.mu.Lock()
	c.drain = false
	c.mu.Unlock()
}

// settle records why the conversation is no longer live, once, and wakes those
// who wait to send.
func (c *Conversation) settle(err error) { c.settleAs(err, false) }

// settleAs is settle; drain says that what waits is still handled.
func (c *Conversation) settleAs(err error, drain bool) {
	c.mu.Lock()
	first := !c.ago
	if first {
		c.ago, c.err, c.drain = true, err, drain
	}
	c.mu.Unlock()
	if !first {
		return
	}
	close(c.over)
	if err != nil {
		c.cancel(err)
	}
}

// The following are called by the session, locked.

// tell queues what is to be handled in a turn. After the end nobody handles it.
func (c *Conversation) tell(m any) { _ = c.ref.Tell(m) }

// moreCredit wakes a sender.
func (c *Conversation) moreCredit() {
	select {
	case c.credit <- struct{}{}:
	default:
	}
}

// peerEnded is an end of the peer's, with the block that said so.
func (c *Conversation) peerEnded(h *wire.Header, payload []byte) {
	var err error
	if h.Flags&wire.FlagError != 0 {
		err = parseStatus(c.s.peer, payload)
	}
	c.settleAs(err, err == nil)
	c.tell(peerEnd{})
}

// violated ends the conversation because the peer broke a rule of it.
func (c *Conversation) violated(code wire.Code, text string) {
	c.s.outbox.end(c, code, text)
	c.settle(&Error{Code: code, Op: "conversation", Peer: c.s.peer, Err: errors.New("the peer " + text)})
	c.ref.Stop(nil)
}

// lost says that the session is down.
func (c *Conversation) lost(why error) {
	c.settle(why)
	c.tell(peerEnd{})
}

// gone is called when the process has ended, its children before it.
func (c *Conversation) gone(error) {
	c.cancel(nil)
	c.mu.Lock()
	stops := c.stops
	c.stops = nil
	c.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	c.release()
	close(c.done)
}

// release gives up one claim on the slot in the router.
func (c *Conversation) release() {
	if c.left.Add(-1) == 0 {
		c.s.mu.Lock()
		c.s.gone(c.key)
		c.s.mu.Unlock()
	}
}
