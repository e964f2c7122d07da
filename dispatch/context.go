package dispatch

import (
	"context"
	"errors"
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
}

func (c *handlerContext) get() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		c.real, c.end = context.WithCancelCause(c.session)
		if !c.info.Deadline.IsZero() {
			c.real, c.stop = context.WithDeadline(c.real, c.info.Deadline)
		}
		if c.ended {
			c.finish()
		}
	}
	return c.real
}

// cancel ends the context with that cause; nil when the handler has returned.
func (c *handlerContext) cancel(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
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
	return errors.Is(c.cause, &PeerError{Code: wire.Canceled})
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
