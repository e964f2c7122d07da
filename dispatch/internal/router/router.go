package router

import (
	"errors"
	"time"

	"parley/wire"
)

// Class says what a message type that begins something is registered as.
type Class uint8

// The classes.
const (
	Unregistered Class = iota
	Answered           // a request: it gets a reply
	Unanswered         // a one-way message
	Conversing         // it begins a conversation
)

// Table tells the class of a message that begins something. Service is the
// well-known number it is addressed to, or 0. Class must not depend on anything
// that changes while the router is in use but registrations.
type Table interface {
	Class(service uint32, t wire.Type) (c Class, knownService bool)
}

// Limits bound what one peer can make a router hold. All are of one session.
type Limits struct {
	Requests      int // the peer's requests and one-way messages, queued or running
	RequestBytes  int // what those cost together
	Conversations int // live conversations begun by the peer; as many by this side
	OneShots      int // this side's messages that wait for a reply
	QueuedBytes   int // cost of the messages received in conversations, not yet consumed

	Window uint64 // initial credit of a conversation, in each direction; both ends must agree

	EarlyBlocks int           // blocks held because they overtook their begin
	EarlyBytes  int           // what those cost together
	EarlyWait   time.Duration // how long one is held

	Recent int // slots for numbers of what has ended, for each side; a power of two

	TellBurst    int           // ends told about conversations that never were, at once
	TellInterval time.Duration // until one more may be told
}

// Errors of local calls.
var (
	ErrLimit      = errors.New("router: limit reached")
	ErrWouldBlock = errors.New("router: no credit")
	ErrEnded      = errors.New("router: conversation has ended")
)

// Router routes the blocks of one session. It is not safe for concurrent use. A
// is the caller's value for a pending reply, C that for a conversation, R that
// for a running request.
type Router[A, C, R any] struct {
	limits Limits
	table  Table

	sequence uint64 // the last number given to a message of ours

	asks     map[uint64]ask[A, C]
	convs    [2]map[uint64]*conversation[A, C] // by Side
	requests map[uint64]request[R]

	recent       [2]recent // by Side
	running      int       // requests and one-way messages not yet Done
	runningBytes int
	queuedBytes  uint64

	early      []*Block // in order of arrival, all RegardsSender
	earlyBytes int

	tells    int       // that may still be told
	tellFrom time.Time // when tells was last counted up
	down     bool
}

// ask is an entry of the one-shot table (D3).
type ask[A, C any] struct {
	owner A
	conv  *conversation[A, C] // in which it was sent, or which it began; may be nil
	begin bool                // it began conv, and the reply is its first answer
}

type conversation[A, C any] struct {
	key      Key
	owner    C
	asks     []uint64 // entries of the one-shot table to free with it
	in       inbound
	out      outbound
	queued   uint64 // cost of its messages not yet consumed
	answered bool   // this side has sent in it, or began it
	last     bool   // the message that began it was the peer's last
	ended    bool
}

type request[R any] struct {
	owner R
	bound bool
}

// New returns the router of a fresh session.
func New[A, C, R any](limits Limits, table Table) *Router[A, C, R] {
	return &Router[A, C, R]{
		limits: limits,
		table:  table,
		recent: [2]recent{{most: limits.Recent}, {most: limits.Recent}},
		tells:  limits.TellBurst,
	}
}

// Sizes counts what a router holds; all are zero when nothing is going on.
type Sizes struct {
	Asks, Conversations, Requests, Early int
	RequestBytes, QueuedBytes            uint64
}

// Sizes returns what r holds now.
func (r *Router[A, C, R]) Sizes() Sizes {
	return Sizes{
		Asks:          len(r.asks),
		Conversations: len(r.convs[Ours]) + len(r.convs[Theirs]),
		Requests:      r.running,
		Early:         len(r.early),
		RequestBytes:  uint64(r.runningBytes),
		QueuedBytes:   r.queuedBytes,
	}
}

func (r *Router[A, C, R]) newConversation(key Key, owner C) *conversation[A, C] {
	c := &conversation[A, C]{key: key, owner: owner}
	c.in.granted, c.out.limit = r.limits.Window, r.limits.Window
	if r.convs[key.Side] == nil {
		r.convs[key.Side] = make(map[uint64]*conversation[A, C])
	}
	r.convs[key.Side][key.ID] = c
	return c
}

func (r *Router[A, C, R]) addAsk(id uint64, a ask[A, C]) {
	if r.asks == nil {
		r.asks = make(map[uint64]ask[A, C])
	}
	r.asks[id] = a
	if a.conv != nil {
		a.conv.asks = append(a.conv.asks, id)
	}
}

// freeAsk removes the entry id and its mention in the conversation.
func (r *Router[A, C, R]) freeAsk(id uint64, a ask[A, C]) {
	delete(r.asks, id)
	if a.conv == nil {
		return
	}
	ids := a.conv.asks
	for i := range ids {
		if ids[i] == id {
			ids[i] = ids[len(ids)-1]
			a.conv.asks = ids[:len(ids)-1]
			return
		}
	}
}

// end moves c from open to ended: no entry leads to it any more.
func (r *Router[A, C, R]) end(c *conversation[A, C]) {
	c.ended = true
	for _, id := range c.asks {
		delete(r.asks, id)
	}
	c.asks = nil
}

// consume counts a message of c as done with.
func (r *Router[A, C, R]) consume(c *conversation[A, C], cost uint64) (credit uint64) {
	c.queued -= cost
	r.queuedBytes -= cost
	if c.ended {
		return 0
	}
	return c.in.consume(cost, r.limits.Window)
}
