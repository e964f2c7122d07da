package dispatch

import (
	"fmt"
	"log/slog"
	"math/bits"
	"time"

	"parley/dispatch/internal/router"
)

// Window is the credit in bytes with which each direction of a conversation
// begins. Both ends must agree on it, so it is part of the protocol and no
// setting: enough to keep a conversation going at 20 Mbit/s over a round trip of
// 100 ms, and small enough that thousands may be open.
const Window = 256 << 10

// CreditOverhead is what a message costs its conversation's credit, in bytes,
// besides its payload. It is part of the protocol as well.
const CreditOverhead = router.Overhead

// MaxConcurrentAsks is how many requests outside conversations this side has under
// way with a peer at once, AskMany included: more wait for one of them to be
// answered or given up. The other side is prepared for as many, so it is part of the
// protocol and no setting: enough for 40,000 a second over a round trip of 100 ms.
const MaxConcurrentAsks = 4096

// Defaults of [Limits] and [Config].
const (
	DefaultMaxRequests      = 2 * MaxConcurrentAsks
	DefaultMaxRequestBytes  = 16 << 20
	DefaultMaxConversations = 10_000
	DefaultMaxQueuedBytes   = 64 << 20
	DefaultMaxPending       = 65_536
	DefaultMaxDepth         = 16
	DefaultMaxPosted        = 4096
	DefaultMaxEarlyBlocks   = 64
	DefaultMaxEarlyBytes    = 1 << 20
	DefaultEarlyWait        = 5 * time.Second
	DefaultTombstones       = 1024
	DefaultTellRate         = 10
	DefaultMaxStatuses      = 2 * MaxConcurrentAsks
	DefaultAskTimeout       = 30 * time.Second
)

// Config configures a Dispatcher. Its zero value is usable.
type Config struct {
	// Logger is told of panics in handlers, with their stack, and of handler
	// errors that the peer is not told. Nil is slog.Default.
	Logger *slog.Logger

	// Register, if not nil, is called by New before the Dispatcher is attached to
	// its transport: handlers registered in it are there when the first message
	// comes, even if the transport is up already. Its error is New's.
	Register func(d *Dispatcher) error

	// AskTimeout bounds an [Ask] whose context has no deadline. Zero means
	// DefaultAskTimeout, negative no bound.
	AskTimeout time.Duration

	// RefuseUnknownFields answers payloads with fields that this side's version
	// of the message does not have with InvalidArgument, where a message that
	// means less to its receiver than to its sender is worse than none. By default
	// such fields are ignored, so that messages can grow.
	RefuseUnknownFields bool

	// Limits bound what one peer can make this side hold.
	Limits Limits
}

// Limits bound what one peer can make a Dispatcher hold, for each session. In
// every field zero means the default; negative values are refused.
type Limits struct {
	// MaxRequests is how many requests and one-way messages of the peer may be
	// queued or running. One more request is answered with ResourceExhausted, one
	// more one-way message is lost. Default DefaultMaxRequests: a peer that keeps to
	// MaxConcurrentAsks is not refused, with as many one-way messages, requests
	// that it gave up and answers just gone out besides. Less than
	// MaxConcurrentAsks is allowed, and refuses peers.
	MaxRequests int
	// MaxRequestBytes is how many bytes those may cost, each its payload and
	// CreditOverhead. Default DefaultMaxRequestBytes.
	MaxRequestBytes int

	// MaxConversations is how many conversations begun by the peer may be live,
	// and how many begun by this side. Default DefaultMaxConversations.
	MaxConversations int
	// MaxQueuedBytes is how many bytes of messages may wait in all conversations
	// with the peer together. A conversation whose message exceeds it ends with
	// ResourceExhausted, whatever its own credit. As many bytes, 4 KiB counted for
	// each conversation, may be left to handle when sessions end, of all peers
	// together; OnEnd is told ResourceExhausted for what is more. Default
	// DefaultMaxQueuedBytes.
	MaxQueuedBytes int
	// MaxDepth is how many ancestors a conversation may have. Default
	// DefaultMaxDepth.
	MaxDepth int
	// MaxPosted is how many functions given to [Do] may wait in one
	// conversation. Default DefaultMaxPosted.
	MaxPosted int

	// MaxPending is how many of this side's messages may wait for a reply from
	// the peer: requests in conversations and beginnings of conversations, as well
	// as the up to MaxConcurrentAsks outside. One more fails with ResourceExhausted.
	// Default DefaultMaxPending.
	MaxPending int

	// MaxEarlyBlocks is how many blocks are held that overtook the message which
	// begins their conversation: a begin too large for a lane may be overtaken.
	// Default DefaultMaxEarlyBlocks.
	MaxEarlyBlocks int
	// MaxEarlyBytes is how many bytes those may cost. Default
	// DefaultMaxEarlyBytes.
	MaxEarlyBytes int
	// EarlyWait is how long one is held before the peer is told that there is no
	// such conversation. Default DefaultEarlyWait.
	EarlyWait time.Duration

	// Tombstones is how many numbers of ended requests and conversations are
	// remembered, so that what crosses an end is dropped without noise. It is
	// rounded up to a power of two; a busy session pays 16 bytes for each. Default
	// DefaultTombstones.
	Tombstones int

	// TellRate is how many times a second, and at once, the peer is told that a
	// conversation does not exist. Default DefaultTellRate.
	TellRate int
	// MaxStatuses is how many statuses to the peer may wait for the transport;
	// more are dropped and counted. Default DefaultMaxStatuses: each request of a
	// peer that keeps to MaxConcurrentAsks can be refused at once, and is told.
	MaxStatuses int
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() (Config, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.AskTimeout == 0 {
		c.AskTimeout = DefaultAskTimeout
	}
	l := &c.Limits
	for _, f := range []struct {
		name  string
		value *int
		def   int
	}{
		{"MaxRequests", &l.MaxRequests, DefaultMaxRequests},
		{"MaxRequestBytes", &l.MaxRequestBytes, DefaultMaxRequestBytes},
		{"MaxConversations", &l.MaxConversations, DefaultMaxConversations},
		{"MaxQueuedBytes", &l.MaxQueuedBytes, DefaultMaxQueuedBytes},
		{"MaxDepth", &l.MaxDepth, DefaultMaxDepth},
		{"MaxPosted", &l.MaxPosted, DefaultMaxPosted},
		{"MaxPending", &l.MaxPending, DefaultMaxPending},
		{"MaxEarlyBlocks", &l.MaxEarlyBlocks, DefaultMaxEarlyBlocks},
		{"MaxEarlyBytes", &l.MaxEarlyBytes, DefaultMaxEarlyBytes},
		{"Tombstones", &l.Tombstones, DefaultTombstones},
		{"TellRate", &l.TellRate, DefaultTellRate},
		{"MaxStatuses", &l.MaxStatuses, DefaultMaxStatuses},
	} {
		if *f.value < 0 {
			return c, fmt.Errorf("dispatch: Limits.%s is negative", f.name)
		}
		if *f.value == 0 {
			*f.value = f.def
		}
	}
	if l.EarlyWait < 0 {
		return c, fmt.Errorf("dispatch: Limits.EarlyWait is negative")
	}
	if l.EarlyWait == 0 {
		l.EarlyWait = DefaultEarlyWait
	}
	return c, nil
}

// router returns the limits as the router wants them.
func (l Limits) router() router.Limits {
	return router.Limits{
		Requests:      l.MaxRequests,
		RequestBytes:  l.MaxRequestBytes,
		Conversations: l.MaxConversations,
		OneShots:      l.MaxPending,
		QueuedBytes:   l.MaxQueuedBytes,
		Window:        Window,
		EarlyBlocks:   l.MaxEarlyBlocks,
		EarlyBytes:    l.MaxEarlyBytes,
		EarlyWait:     l.EarlyWait,
		Recent:        1 << bits.Len(uint(l.Tombstones-1)),
		TellBurst:     l.TellRate,
		TellInterval:  time.Second / time.Duration(l.TellRate),
	}
}
