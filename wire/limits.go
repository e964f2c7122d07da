package wire

import "math"

// Limits of the protocol. Both ends know them; a peer that exceeds one is at
// fault. Those called defaults are where a host starts if its settings say
// nothing, and Hello tells the peer what holds.
const (
	// MaxHeader is the length in bytes of the longest head that [Header.Append]
	// writes: every field present and at its longest, the payload's tag and
	// length included. A buffer with this much room never grows.
	MaxHeader = sizeType + 3*sizeVarint + sizeFlags + sizeTimeout + sizeSendTime +
		sizeVarint + sizeTrace + 2*sizeFixed64 + sizePayload

	// MaxLaneBlock is the length in bytes of the longest block that travels on a
	// lane; a longer one gets a stream of its own. At 64 KiB a block delays the
	// ones behind it by 5 ms on a 100 Mbit/s path, and the cost of a stream is
	// well below that of the bytes.
	MaxLaneBlock = 64 << 10

	// DefaultMaxBlock is the length in bytes of the longest block that a host
	// accepts unless its settings say otherwise. Bulk belongs on streams.
	DefaultMaxBlock = 16 << 20

	// MaxPayload is the length in bytes of the longest payload that a head can
	// announce: protobuf's own limit for a message, 2 GiB - 1.
	MaxPayload = math.MaxInt32

	// MaxStatusMessage is the length in bytes of the longest message of a
	// Status. It is for a developer's log, and the peer writes it.
	MaxStatusMessage = 1 << 10

	// MaxStatusDetails is how many details a Status may hold.
	MaxStatusDetails = 16

	// MaxStatusDetailBytes is how long, in bytes, the details of a Status may be
	// together. A status is sent when things go wrong, often many at once: with
	// its message it stays below a sixth of a lane block.
	MaxStatusDetailBytes = 8 << 10

	// MaxControlFrame is the length in bytes of the longest control frame. The
	// longest that passes the other limits, a Hello with 64 capabilities and 64
	// lanes, has some 1,400.
	MaxControlFrame = 4 << 10

	// MaxLanes is how many lanes a session may have in one direction. With 64,
	// lanes under packet loss measure like a stream for each message; more gain
	// nothing.
	MaxLanes = 64

	// MaxConnections is how many connections a session may want at once: measured
	// at 1 % loss and 40 ms round trip, sixteen carry sixteen times what one does.
	MaxConnections = 16

	// MaxStreamCounts is how many streams one Ack may speak of. With every lane
	// beside them and all numbers at their longest it stays within a frame.
	MaxStreamCounts = 64

	// MaxCapabilities is how many capabilities a Hello may announce.
	MaxCapabilities = 64

	// MaxAgent is the length in bytes of the longest software name in a Hello.
	MaxAgent = 64

	// MaxCloseMessage is the length in bytes of the longest message of a Close.
	MaxCloseMessage = 256

	// ProofSize is the length in bytes of a network-secret proof: that of
	// HMAC-SHA-256. A proof is of this length or empty.
	ProofSize = 32
)

// Lengths in bytes of the fields of a head at their longest. All tags take one
// byte.
const (
	sizeType     = 1 + 4
	sizeVarint   = 1 + 10
	sizeFlags    = 1 + 1
	sizeTimeout  = 1 + 8 // 2^63 ns in µs has 53 bits
	sizeSendTime = 1 + 9 // 63 bits
	sizeTrace    = 1 + 1 + traceSize
	sizeFixed64  = 1 + 8
	sizePayload  = 1 + 5 // 31 bits
)
