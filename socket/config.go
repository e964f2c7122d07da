package socket

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"time"

	"parley/peer"
	"parley/wire"
)

// Config is the configuration of a Host. Only Key is required. A Host copies it.
type Config struct {
	// Key is who we are.
	Key *peer.Key

	// Listen is the UDP address to bind, "host:port" (T1). An empty host is every interface, IPv4 and
	// IPv6; port 0, or an empty Listen, is any free port.
	Listen string
	// ReusePort lets several processes bind the same port, where the system can (SO_REUSEPORT).
	ReusePort bool
	// ReceiveBuffer and SendBuffer are the kernel's socket buffers in bytes. Zero asks for 7 MiB, which
	// holds a burst of 50 ms at 1 Gbit/s; negative leaves the system's default. What the system refuses
	// is one warning in the log that says how to allow it.
	ReceiveBuffer, SendBuffer int
	// PacketConn, if set, carries the packets instead of a UDP socket made from the fields above: a
	// simulated network, say (T4). Its addresses must be *net.UDPAddr. Close closes it.
	PacketConn net.PacketConn

	// NetworkSecret, if not zero, makes a private network (I4): only peers that prove to know the same
	// secret get a session; others see an authentication error.
	NetworkSecret peer.Secret
	// Admit, if set, decides which keys may have a session, dialled or accepted (I6). An error refuses;
	// the peer is told only that it was refused. Called concurrently; it must not block.
	Admit func(peer.ID) error

	// HandshakeTimeout bounds the making of a connection up to the peer's acceptance (C14). Zero is 5 s.
	HandshakeTimeout time.Duration
	// SendTimeout bounds a blocked send whose context has no deadline of its own (C14). Zero is 30 s,
	// negative is no bound.
	SendTimeout time.Duration
	// IdleTimeout is how long nothing at all may arrive before a connection is dead (C6). Zero is 30 s.
	IdleTimeout time.Duration
	// KeepAlive is how long a connection may be silent before a packet is sent to keep NAT mappings and
	// the connection alive (C6). Zero is 10 s, negative is never. At most half of IdleTimeout.
	KeepAlive time.Duration

	// Retention is how long a session without a connection is kept, with all that is to be sent again, before it
	// ends with Timeout (C9). Zero is 24 hours.
	Retention time.Duration
	// Connections is how many connections at once a session should have, 1 to 16 (C12): if the two sides want
	// different numbers, the higher. More than one spreads lanes and streams over paths of their own congestion
	// control. Zero is 1.
	Connections int
	// ReconnectMin and ReconnectMax are the first and the longest pause between attempts to reconnect a session
	// that has nothing to send; pauses double, with a jitter of a quarter (C8). While something waits to be
	// sent, attempts begin every 0.25 to 2 s instead, for the first 15 minutes. Zero is 1 s and 60 s.
	ReconnectMin, ReconnectMax time.Duration
	// Reconnect, if set, is asked before each attempt after the first to reconnect: attempt counts from 2, last
	// is how the previous one failed. False gives the session up: it ends with last. Called concurrently for
	// different sessions; it must not block.
	Reconnect func(s *Session, attempt int, last error) bool
	// WatchNetwork has the host notice by itself when the machine's addresses change, as if NetworkChanged were
	// called. It is off with a PacketConn of the caller's own, unless set to WatchAlways.
	WatchNetwork WatchMode

	// Rate bounds what the host sends to all peers together, in bytes per second of payload (B13): see
	// Host.SetRate, which changes it. Zero is no limit.
	Rate int

	// Lanes is how many lanes this side sends on, 1 to 64 (B3). Zero is 8, and 64 from when the path is seen to lose
	// packets: measured, eight lanes cost little against one, and 64 at 5 % loss are as good as a stream for each
	// block.
	Lanes int
	// LaneBuffer is how many bytes of blocks one lane holds that the peer has not yet acknowledged; then Send
	// blocks. They are kept to be sent again when a connection dies (C9). Zero is 1 MiB, at least MaxLaneBlock.
	LaneBuffer int
	// StreamBuffer is the same for one byte stream and its Write. Zero is 4 MiB: 64 MB/s at a round trip of 40
	// ms. Stream.SetWriteBuffer changes it for one stream (B11).
	StreamBuffer int
	// StreamWindow is how many bytes of one stream may be in flight to us or unread, at most; it begins with
	// 512 KiB and grows while the reader keeps up (B11). Zero is 6 MiB.
	StreamWindow int
	// MaxReplay bounds the bytes held for all peers together because they are not yet acknowledged (T9). When
	// it is reached, sessions that have had no connection for the longest are given up, with code Limit, and
	// then senders wait. One session may hold a quarter. Zero is 256 MiB.
	MaxReplay int
	// MaxBlock is the largest block accepted from a peer, in bytes. Zero is 16 MiB.
	MaxBlock int
	// MaxBlockMemory bounds the bytes of blocks over 64 KiB being received from all peers together.
	// Zero is 256 MiB; one peer may take a quarter of it, but at least one block.
	MaxBlockMemory int
	// SpreadRate is how many messages a second Host.SendAll sends, all its calls together, one peer after the other
	// and evenly in time (B13). Zero sends to all at once.
	SpreadRate float64
	// MaxSessions is how many sessions a host holds. Zero is 16,384.
	MaxSessions int
	// MaxStreams is how many streams of all kinds a peer may have open at once. Zero is 1,024.
	MaxStreams int

	// Logger receives warnings and debug messages, never the content of blocks nor secrets. Nil is
	// slog.Default().
	Logger *slog.Logger

	widens bool // Lanes was zero
}

// WatchMode says whether a Host watches the machine's addresses.
type WatchMode uint8

// The modes. On Linux the kernel reports changes, elsewhere addresses are looked at every 10 s.
const (
	WatchDefault WatchMode = iota // with a UDP socket of the host's own
	WatchAlways
	WatchNever
)

// Defaults of Config; the fields say what they mean.
const (
	defaultHandshakeTimeout = 5 * time.Second
	defaultSendTimeout      = 30 * time.Second
	defaultIdleTimeout      = 30 * time.Second
	defaultKeepAlive        = 10 * time.Second
	defaultSocketBuffer     = 7 << 20
	defaultLanes            = 8
	defaultLaneBuffer       = 1 << 20
	defaultStreamBuffer     = 4 << 20
	defaultStreamWindow     = 6 << 20
	defaultMaxReplay        = 256 << 20
	defaultRetention        = 24 * time.Hour
	defaultConnections      = 1
	defaultFirstPause       = time.Second
	defaultLongestPause     = time.Minute
	defaultMaxBlock         = 16 << 20
	defaultMaxBlockMemory   = 256 << 20
	defaultMaxSessions      = 16_384
	defaultMaxStreams       = 1_024
)

func orDefault[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// normalize checks the configuration and fills in the defaults.
func (c Config) normalize() (Config, error) {
	if c.Key == nil {
		return c, errors.New("parley: socket.Config.Key is not set")
	}
	orDefault(&c.ReceiveBuffer, defaultSocketBuffer)
	orDefault(&c.SendBuffer, defaultSocketBuffer)
	orDefault(&c.HandshakeTimeout, defaultHandshakeTimeout)
	orDefault(&c.SendTimeout, defaultSendTimeout)
	orDefault(&c.IdleTimeout, defaultIdleTimeout)
	orDefault(&c.KeepAlive, defaultKeepAlive)
	c.widens = c.Lanes == 0
	orDefault(&c.Lanes, defaultLanes)
	orDefault(&c.LaneBuffer, defaultLaneBuffer)
	orDefault(&c.StreamBuffer, defaultStreamBuffer)
	orDefault(&c.StreamWindow, defaultStreamWindow)
	orDefault(&c.MaxReplay, defaultMaxReplay)
	orDefault(&c.Retention, defaultRetention)
	orDefault(&c.Connections, defaultConnections)
	orDefault(&c.ReconnectMin, defaultFirstPause)
	orDefault(&c.ReconnectMax, max(defaultLongestPause, c.ReconnectMin))
	orDefault(&c.MaxBlock, defaultMaxBlock)
	orDefault(&c.MaxBlockMemory, defaultMaxBlockMemory)
	orDefault(&c.MaxSessions, defaultMaxSessions)
	orDefault(&c.MaxStreams, defaultMaxStreams)
	c.KeepAlive = min(max(c.KeepAlive, 0), c.IdleTimeout/2)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if !(c.SpreadRate >= 0) || math.IsInf(c.SpreadRate, 1) {
		return c, fmt.Errorf("parley: socket.Config.SpreadRate is %v, not a rate", c.SpreadRate)
	}
	for _, v := range []struct {
		name      string
		got       int64
		low, high int64
	}{
		{"Rate", int64(c.Rate), 0, math.MaxInt},
		{"Lanes", int64(c.Lanes), 1, wire.MaxLanes},
		{"LaneBuffer", int64(c.LaneBuffer), wire.MaxLaneBlock, 1 << 30},
		{"StreamBuffer", int64(c.StreamBuffer), 1, 1 << 30},
		{"StreamWindow", int64(c.StreamWindow), 16 << 10, 1 << 30},
		{"MaxReplay", int64(c.MaxReplay), 1 << 20, 1 << 40},
		{"Retention", int64(c.Retention), int64(time.Second), int64(365 * 24 * time.Hour)},
		{"Connections", int64(c.Connections), 1, wire.MaxConnections},
		{"ReconnectMin", int64(c.ReconnectMin), int64(10 * time.Millisecond), int64(24 * time.Hour)},
		{"ReconnectMax", int64(c.ReconnectMax), int64(c.ReconnectMin), int64(24 * time.Hour)},
		{"MaxBlock", int64(c.MaxBlock), wire.MaxLaneBlock, 1 << 30},
		{"MaxBlockMemory", int64(c.MaxBlockMemory), int64(c.MaxBlock), 1 << 40},
		{"MaxSessions", int64(c.MaxSessions), 1, 1 << 30},
		{"MaxStreams", int64(c.MaxStreams), 2 * wire.MaxLanes, 1 << 20},
		{"HandshakeTimeout", int64(c.HandshakeTimeout), 1, int64(time.Hour)},
		{"IdleTimeout", int64(c.IdleTimeout), int64(time.Second), int64(24 * time.Hour)},
	} {
		if v.got < v.low || v.got > v.high {
			return c, fmt.Errorf("parley: socket.Config.%s is %d, not between %d and %d", v.name, v.got, v.low, v.high)
		}
	}
	return c, nil
}
