package socket

import (
	"context"
	"net"
	"time"

	"parley/peer"
)

// connection is one authenticated channel to a peer over one path, of whatever kind: QUIC over
// datagrams here, TLS and a multiplexer over byte streams later (design: two kinds of carrier behind
// one small interface). Methods are safe for concurrent use.
type connection interface {
	// open makes a stream. It blocks while the peer's limit on streams is reached.
	open(ctx context.Context) (stream, error)
	// accept returns the next stream that the peer opened and wrote to.
	accept(ctx context.Context) (stream, error)
	// sendDatagram sends b as one packet, without any guarantee. It returns errTooLarge when b does not fit
	// and may block while the carrier is congested.
	sendDatagram(b []byte) error
	// receiveDatagram returns the next datagram; the caller owns it.
	receiveDatagram(ctx context.Context) ([]byte, error)
	// close ends the connection at once and tells the peer why; data in flight is lost.
	close(code closeCode, message string)
	// context is done when the connection has died; its cause is an *Error or *PeerError.
	context() context.Context
	// export returns n bytes that only the two ends of this connection can compute (RFC 5705).
	export(label string, context []byte, n int) ([]byte, error)
	// admitted takes an accepted connection out of the count of handshakes under way.
	admitted()
	// stats is cheap: it may be called many times a second.
	stats() pathStats
	peer() peer.ID
	localAddr() net.Addr
	remoteAddr() net.Addr
}

// pathStats is what a connection knows of its path.
type pathStats struct {
	carrier                                                string        // its kind
	rtt, minRTT, latestRTT, deviation                      time.Duration // zero until measured
	bytesSent, bytesReceived, packetsSent, packetsReceived uint64        // with all overhead of the carrier's own
	bytesLost, packetsLost                                 uint64        // taken for lost and sent again
	congestionWindow                                       uint64        // bytes; zero if the carrier does not know
}

// stream is a bidirectional byte stream of a connection. Reading and writing may go on concurrently; two
// writers may not. Errors are *Error or *PeerError, except io.EOF.
type stream interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	// peek blocks until a byte, the end or an error is there, without consuming anything, so that an idle
	// reader need not hold a buffer.
	peek() error
	// closeWrite says that nothing more will be written; what was written is still delivered.
	closeWrite() error
	// cancelRead asks the peer to stop writing, cancelWrite drops what was not delivered.
	cancelRead(code resetCode)
	cancelWrite(code resetCode)
	setReadDeadline(t time.Time) error
	setWriteDeadline(t time.Time) error
	setPriority(p priority)
}

// priority orders what a connection sends; lower goes first.
type priority int8

const (
	priorityControl     priority = 0
	priorityLane        priority = 1
	priorityInteractive priority = 2 // streams for which somebody waits
	priorityStream      priority = 3
	priorityBulk        priority = 5 // blocks over 64 KiB
)

// carrier makes connections. The host has one for each kind.
type carrier interface {
	// dial makes a connection to addr and proves that want's key is there: *Error with Authentication if
	// another is.
	dial(ctx context.Context, addr net.Addr, want peer.ID) (connection, error)
	// accept returns the next connection that a peer made. Its key has been proved, nothing else.
	accept(ctx context.Context) (connection, error)
	addr() net.Addr
	// handshakes is how many connections of peers are in the handshake now, how many were turned away before it,
	// and how many have ended before they had proved a key.
	handshakes() (halfOpen int, turnedAway, unproved uint64)
	close() error
}
