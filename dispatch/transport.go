package dispatch

import (
	"context"

	"parley/peer"
)

// Transport moves opaque blocks between this peer and others; a *socket.Host is
// one. All methods may be called concurrently.
//
// A session is the long-lived channel to one peer. It is named by this side's
// incarnation for it: a number that is never zero and rises with each new session.
type Transport interface {
	// LocalID returns this side's peer.
	LocalID() peer.ID

	// Send queues one reliable block to a peer. Session names the session, and 0
	// means whichever is current. Blocks of one lane number arrive in order;
	// different lanes are independent. Send blocks while the lane's buffer is
	// full, until ctx ends. The caller keeps the block.
	//
	// A block longer than wire.MaxLaneBlock travels on a stream of its own, and
	// Send returns when the peer has received it. After an error a shorter block
	// has certainly not been queued; for a longer one that is unknown, unless the
	// error, or one in its chain, has a method TooLarge() bool that returns true:
	// then the block is over a limit and will not be delivered.
	Send(ctx context.Context, to peer.ID, session, lane uint64, block []byte) error

	// SendBestEffort is Send for a block that may be lost: a datagram if it
	// fits, else promoted to reliable.
	SendBestEffort(ctx context.Context, to peer.ID, session, lane uint64, block []byte) error

	// Attach installs the receiver. It is called once, before any traffic. Up is
	// called before any block of that session, and down after the last one with
	// the cause. Block is called concurrently for different lanes and in order
	// within one; it does not block, and the slice is the callee's to keep.
	Attach(
		up func(p peer.ID, session, remote uint64),
		block func(p peer.ID, session uint64, block []byte),
		down func(p peer.ID, session uint64, cause error),
	)
}
