package dispatch

import (
	"context"
	"sync"
	"time"

	"parley/peer"
	"parley/wire"
)

// handlerContext is the context of a request handler. Most handlers never wait for
// its end, so the real one, with its timer and its place in the session's, is made
// when first needed: that halves the cost of a request.
type handlerContext struct {
	session context.Context
	info    Info

	mu    sync.Mutex
	real  context.Context
	end   context.CancelCauseFunc // of real
	stop  context.CancelFunc      // of real's deadline
	ended bool
	cause error

	expired   bool // what would have ended it came at its deadline or after, or told of it
	abandoned bool // the peer waits no more
}

func (c *handlerContext) get() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		c.real, c.end = context.WithCancelCause(c.session)
		if c.expired {
			c.real, c.stop = context.WithDeadline(c.real, c.info.ReceiveTime) // has passed
		} else if !c.info.Deadline.IsZero() {
			c.real, c.stop = context.WithDeadline(c.real, c.info.Deadline)
		}
		if c.ended {
			c.finish()
		}
	}
	return c.real
}

// giveUp says that the peer waits no more, and why. If its time has run out, so will
// the context's, with the error that handlers expect then: it is left to its own
// deadline, which is later by no more than the request's way here, or has passed if
// nobody has looked at it yet.
func (c *handlerContext) giveUp(said *PeerError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandoned = true
	if said.Code == wire.DeadlineExceeded && !c.info.Deadline.IsZero() {
		c.expired = true
		return
	}
	c.finishWith(said)
}

// cancel ends the context with that cause; nil when the handler has returned.
func (c *handlerContext) cancel(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finishWith(cause)
}

func (c *handlerContext) finishWith(cause error) {
	if c.ended {
		return
	}
	if cause != nil && !c.info.Deadline.IsZero() && !time.Now().Before(c.info.Deadline) {
		c.expired = true // the deadline was first, if its timer was not
		return
	}
	c.ended, c.cause = true, cause
	if c.real != nil {
		c.finish()
	}
}

func (c *handlerContext) finish() {
	c.end(c.cause)
	if c.stop != nil {
		c.stop()
	}
}

// givenUp reports whether the peer said that it does not wait any more.
func (c *handlerContext) givenUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.abandoned
}

// Deadline implements context.Context.
func (c *handlerContext) Deadline() (time.Time, bool) {
	return c.info.Deadline, !c.info.Deadline.IsZero()
}

// Done implements context.Context.
func (c *handlerContext) Done() <-chan struct{} { return c.get().Done() }

// Err implements context.Context.
func (c *handlerContext) Err() error { return c.get().Err() }

// Value implements context.Context.
func (c *handlerContext) Value(key any) any {
	switch key.(type) {
	case infoKey:
		return &c.info
	case peerKey:
		return &c.info.ID.Sender
	}
	return c.get().Value(key)
}

type infoKey struct{}

type peerKey struct{}

// conversationContext is the context of a conversation.
type conversationContext struct {
	context.Context
	peer *peer.ID
}

func (c conversationContext) Value(key any) any {
	if _, ok := key.(peerKey); ok {
		return c.peer
	}
	return c.Context.Value(key)
}
