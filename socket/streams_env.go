package socket

import (
	"context"

	"parley/wire"
)

// streamEnv is what the streams of a session need of it. Its methods may be called from any goroutine,
// also from within a call of the session into streams, but with none of the streams' locks held. Only
// openOn, awaitReceiver and deliver may block.
type streamEnv interface {
	// openOn opens a carrier stream on n and writes head, until ctx ends.
	openOn(ctx context.Context, n *link, head []byte, p priority) (stream, error)
	// ackSoon says that collect has something new, of which the application has taken so many bytes: it is
	// to be said within 25 ms, or at once after 256 KiB.
	ackSoon(bytes int)
	// ackNow says that collect has something for which the peer waits.
	ackNow()
	// pending says that bytes wait for acknowledgement where none did: the connection is to be watched.
	pending()
	// awaitReplay waits a moment for room in the host's budget for what is kept, or until expired is closed.
	awaitReplay(expired <-chan struct{})
	// incoming takes a stream of the peer's that has neither a parent nor a service. False refuses it.
	incoming(x *Stream) bool
	// service takes a stream of the peer's to the service that it names, or says why not.
	service(x *Stream) (refusal resetCode)
	// awaitReceiver waits until blocks can be handed up.
	awaitReceiver(ctx context.Context) error
	// deliver hands up a large block, once, after number blocks of its lane.
	deliver(ctx context.Context, lane, number uint64, block []byte) error
	// broken ends the session: the peer has broken the protocol.
	broken(err error)
	// fail is the error of a call to a session that is over.
	fail(op string) error
}

// streamID names a stream of a session on one side of it.
type streamID struct {
	number uint64
	ours   bool // we opened it
}

// ref is how the peer is told of a stream.
func (id streamID) ref() wire.StreamRef { return wire.StreamRef{Number: id.number, Yours: !id.ours} }
