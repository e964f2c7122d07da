package socket

import (
	"errors"
	"fmt"
	"log/slog"
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

	// Lanes is how many lanes this side sends on, 1 to 64. Zero is 8: measured, eight lanes cost little
	// against one and cut the 99th percentile at 5 % packet loss by a third.
	Lanes int
	// LaneBuffer is how many bytes of blocks may wait on one lane before Send blocks. Zero is 256 KiB.
	LaneBuffer int
	// MaxBlock is the largest block accepted from a peer, in bytes. Zero is 16 MiB.
	MaxBlock int
	// MaxBlockMemory bounds the bytes of blocks over 64 KiB being received from all peers together.
	// Zero is 256 MiB; one peer may take a quarter of it, but at least one block.
	MaxBlockMemory int
	// MaxSessions is how many sessions a host holds. Zero is 16,384.
	MaxSessions int
	// MaxStreams is how many streams of all kinds a peer may have open at once. Zero is 1,024.
	MaxStreams int

	// Logger receives warnings and debug messages, never the content of blocks nor secrets. Nil is
	// slog.Default().
	Logger *slog.Logger
}

// Defaults of Config; the fields say what they mean.
const (
	defaultHandshakeTimeout = 5 * time.Second
	defaultSendTimeout      = 30 * time.Second
	defaultIdleTimeout      = 30 * time.Second
	defaultKeepAlive        = 10 * time.Second
	defaultSocketBuffer     = 7 << 20
	defaultLanes            = 8
	defaultLaneBuffer       = 256 << 10
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
	orDefault(&c.Lanes, defaultLanes)
	orDefault(&c.LaneBuffer, defaultLaneBuffer)
	orDefault(&c.MaxBlock, defaultMaxBlock)
	orDefault(&c.MaxBlockMemory, defaultMaxBlockMemory)
	orDefault(&c.MaxSessions, defaultMaxSessions)
	orDefault(&c.MaxStreams, defaultMaxStreams)
	c.KeepAlive = min(max(c.KeepAlive, 0), c.IdleTimeout/2)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	for _, v := range []struct {
		name      string
		got       int
		low, high int
	}{
		{"Lanes", c.Lanes, 1, wire.MaxLanes},
		{"LaneBuffer", c.LaneBuffer, 1, 1 << 30},
		{"MaxBlock", c.MaxBlock, wire.MaxLaneBlock, 1 << 30},
		{"MaxBlockMemory", c.MaxBlockMemory, c.MaxBlock, 1 << 40},
		{"MaxSessions", c.MaxSessions, 1, 1 << 30},
		{"MaxStreams", c.MaxStreams, 2 * wire.MaxLanes, 1 << 20},
		{"HandshakeTimeout", int(c.HandshakeTimeout), 1, int(time.Hour)},
		{"IdleTimeout", int(c.IdleTimeout), int(time.Second), int(24 * time.Hour)},
	} {
		if v.got < v.low || v.got > v.high {
			return c, fmt.Errorf("parley: socket.Config.%s is %d, not between %d and %d", v.name, v.got, v.low, v.high)
		}
	}
	return c, nil
}
