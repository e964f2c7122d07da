package main

import "time"

// What a peer, a user or a script can make this program hold or wait for.
const (
	// maxLine is the longest line, in bytes. It is part of the protocol.
	maxLine = 4096
	// maxWaiting is how many lines may wait for one peer's acknowledgement.
	maxWaiting = 10_000
	// maxPeers is how many peers may be connected at once.
	maxPeers = 256
	// maxRemembered is of how many peers the last line shown is remembered, so
	// that a line sent again in another session is not shown again.
	maxRemembered = 4 * maxPeers
	// maxConversations is how many conversations a peer may have with us. It needs
	// one; the others leave room for those that are ending.
	maxConversations = 4
	// maxBook is the largest petnames file, in bytes.
	maxBook = 1 << 20
	// maxTyped is how many characters the input line of the terminal holds: well more
	// than a line may have, so that one that is too long is refused and not cut.
	maxTyped = 1 << 17
	// maxHistory is how many events the terminal keeps for scrolling back.
	maxHistory = 2000
)

// How long things take at most.
const (
	// idleTimeout is how long a connection may be silent before it counts as lost, and
	// keepAlive how often a packet is sent to find out. A chat wants to know soon; with
	// something to deliver the session knows sooner.
	idleTimeout = 10 * time.Second
	keepAlive   = 3 * time.Second
	// maxReconnect is the longest wait between two attempts of a session to connect
	// again while nothing is to be delivered. The user looks at who is back.
	maxReconnect = 10 * time.Second
	// returnWait is how long the lines for a stranger who began anew wait for it.
	returnWait = 10 * time.Second
	// deliveryWait is how long leaving waits for lines to be acknowledged.
	deliveryWait = 10 * time.Second
	// patience is how much of that passes before the user is told.
	patience = time.Second
	// closeWait is how long leaving then waits for the connections to close.
	closeWait = 3 * time.Second
	// minRedial and maxRedial bound the wait between two attempts to begin a session
	// (C8).
	minRedial = time.Second
	maxRedial = time.Minute
)
