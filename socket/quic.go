package socket

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"parley/peer"
	"parley/wire"
)

// QUIC's constants as this project needs them; the reasons are measurements on quic-go 0.65.
const (
	// initialPacketSize is QUIC's minimum (RFC 9000, 14.1): with quic-go's default of 1280 bytes a path
	// with an MTU of 1300 never connects.
	initialPacketSize = 1200
	// connectionIDLength leaves no accidental collision among many peers; quic-go's default is 4.
	connectionIDLength = 8
	// streamWindow is what a peer may have in flight to us on a stream at first: one round trip of 40 ms at 100
	// Mbit/s.
	streamWindow = 512 << 10
	// laneStreams is how many streams a peer may have beside those of the application: its lanes, as many that it
	// has just left, and the control stream. However many streams it opens, its lanes are not held up.
	laneStreams = 2*wire.MaxLanes + 1
	// connectionWindow is the same for all streams of a connection together, and maxConnectionWindow at most.
	// Streams that nobody reads take up to half of it (maxUnread, parkExcess): as much must be left for two others at
	// their first windows, and the lanes.
	connectionWindow    = 2 << 20
	maxConnectionWindow = 15 << 20
)

// quicCarrier makes connections over one net.PacketConn.
type quicCarrier struct {
	transport *quic.Transport
	listener  *quic.Listener
	config    *quic.Config
	cert      tls.Certificate
	self      peer.ID
	admission *admission
	windows   *windows
}

var _ carrier = (*quicCarrier)(nil)

func newQUIC(pc net.PacketConn, cert tls.Certificate, cfg *Config) (*quicCarrier, error) {
	c := &quicCarrier{cert: cert, self: cfg.Key.ID(), admission: newAdmission(), windows: newWindows()}
	c.config = &quic.Config{
		HandshakeIdleTimeout:           cfg.HandshakeTimeout,
		MaxIdleTimeout:                 cfg.IdleTimeout,
		KeepAlivePeriod:                cfg.KeepAlive,
		InitialPacketSize:              initialPacketSize,
		InitialStreamReceiveWindow:     uint64(min(streamWindow, cfg.StreamWindow)),
		MaxStreamReceiveWindow:         uint64(cfg.StreamWindow),
		InitialConnectionReceiveWindow: connectionWindow,
		MaxConnectionReceiveWindow:     maxConnectionWindow,
		MaxIncomingStreams:             int64(cfg.MaxStreams) + laneStreams,
		MaxIncomingUniStreams:          -1, // every stream is bidirectional, as on carriers that know no other
		EnableDatagrams:                true,
		AllowConnectionWindowIncrease:  c.windows.grow,
	}
	reset, err := resetKey(cfg.Key)
	if err != nil {
		return nil, err
	}
	c.transport = &quic.Transport{
		StatelessResetKey:                reset,
		Conn:                             pc,
		ConnectionIDLength:               connectionIDLength,
		DisableVersionNegotiationPackets: true, // one version, and strangers need no answer
		VerifySourceAddress:              c.admission.underLoad,
		ConnContext:                      c.admission.begin,
	}
	ln, err := c.transport.Listen(tlsConfig(cert, c.verifyInbound), c.config)
	if err != nil {
		return nil, &Error{Code: Internal, Op: "listen", Err: err}
	}
	c.listener = ln
	return c, nil
}

// resetKey is the key of QUIC's stateless resets (RFC 9000, 10.3): the same after a restart, so that peers
// learn of it with the first packet they send and not by a timeout (R28). It follows from our private
// key, of which Ed25519's deterministic signatures are a pseudorandom function.
func resetKey(key *peer.Key) (*quic.StatelessResetKey, error) {
	sig, err := key.Signer().Sign(nil, []byte("parley/1 stateless reset key"), crypto.Hash(0))
	if err != nil {
		return nil, &Error{Code: Internal, Op: "listen", Err: err}
	}
	k := quic.StatelessResetKey(sha256.Sum256(sig))
	return &k, nil
}

// verifyInbound refuses ourselves; whom else to admit is decided above, where the peer can be told.
func (c *quicCarrier) verifyInbound(id peer.ID) error {
	if id == c.self {
		return errOwnKey
	}
	return nil
}

type wrongKeyError struct{ got, want peer.ID }

func (e *wrongKeyError) Error() string {
	return "asked for " + e.want.String() + ", but the key there is " + e.got.String()
}

func (c *quicCarrier) dial(ctx context.Context, addr net.Addr, want peer.ID) (connection, error) {
	var refused error // why we do not accept whoever answered; set by the handshake before Dial returns
	conf := tlsConfig(c.cert, func(id peer.ID) error {
		switch {
		case id == c.self:
			refused = errOwnKey
		case id != want:
			refused = &wrongKeyError{got: id, want: want}
		}
		return refused
	})
	qc, err := c.transport.Dial(ctx, addr, conf, c.config)
	switch {
	case err == nil:
		return c.wrap(qc)
	case refused != nil:
		return nil, &Error{Code: Authentication, Op: "dial", Peer: want, Err: refused}
	case ctx.Err() != nil:
		return nil, ctxError(ctx, "dial", want)
	}
	return nil, quicError("dial", want, err)
}

func (c *quicCarrier) accept(ctx context.Context) (connection, error) {
	for {
		qc, err := c.listener.Accept(ctx)
		if err != nil {
			return nil, &Error{Code: Closed, Op: "accept", Err: err}
		}
		c.admission.known(qc.Context())
		conn, err := c.wrap(qc)
		if err == nil {
			return conn, nil
		}
		_ = qc.CloseWithError(quic.ApplicationErrorCode(closeAuthentication), "")
	}
}

func (c *quicCarrier) handshakes() (halfOpen int, turnedAway, unproved uint64) {
	return c.admission.stats()
}

func (c *quicCarrier) addr() net.Addr { return c.transport.Conn.LocalAddr() }

func (c *quicCarrier) close() error {
	err := c.listener.Close()
	err = errors.Join(err, c.transport.Close())
	return errors.Join(err, c.transport.Conn.Close())
}

// quicConn is a connection over QUIC.
type quicConn struct {
	c   *quic.Conn
	id  peer.ID
	ctx context.Context //nolint:containedctx // it is the connection's life, with its cause translated
	adm *admission
}

var _ connection = (*quicConn)(nil)

func (c *quicCarrier) wrap(qc *quic.Conn) (*quicConn, error) {
	id, err := identify(qc.ConnectionState().TLS)
	if err != nil {
		return nil, &Error{Code: Authentication, Op: "handshake", Err: err}
	}
	ctx, end := context.WithCancelCause(context.Background())
	c.windows.add(qc)
	context.AfterFunc(qc.Context(), func() {
		c.windows.remove(qc)
		end(quicError("connection", id, context.Cause(qc.Context())))
	})
	return &quicConn{c: qc, id: id, ctx: ctx, adm: c.admission}, nil
}

func (q *quicConn) admitted() { q.adm.proved(q.c.Context()) }

func (q *quicConn) open(ctx context.Context) (stream, error) {
	s, err := q.c.OpenStreamSync(ctx)
	if err != nil {
		return nil, q.streamError(ctx, "open stream", err)
	}
	return &quicStream{s, q.id}, nil
}

func (q *quicConn) accept(ctx context.Context) (stream, error) {
	s, err := q.c.AcceptStream(ctx)
	if err != nil {
		return nil, q.streamError(ctx, "accept stream", err)
	}
	return &quicStream{s, q.id}, nil
}

func (q *quicConn) streamError(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil && q.c.Context().Err() == nil {
		return ctxError(ctx, op, q.id)
	}
	return quicError(op, q.id, err)
}

var errTooLarge = &Error{Code: TooLarge, Op: "datagram"}

func (q *quicConn) sendDatagram(b []byte) error {
	err := q.c.SendDatagram(b)
	var large *quic.DatagramTooLargeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large), q.c.Context().Err() == nil: // the peer may also not take datagrams at all
		return errTooLarge
	}
	return quicError("datagram", q.id, err)
}

func (q *quicConn) receiveDatagram(ctx context.Context) ([]byte, error) {
	b, err := q.c.ReceiveDatagram(ctx)
	if err != nil {
		return nil, quicError("datagram", q.id, err)
	}
	return b, nil
}

func (q *quicConn) close(code closeCode, message string) {
	_ = q.c.CloseWithError(quic.ApplicationErrorCode(code), message)
}

func (q *quicConn) context() context.Context { return q.ctx }

func (q *quicConn) export(label string, context []byte, n int) ([]byte, error) {
	st := q.c.ConnectionState().TLS
	b, err := st.ExportKeyingMaterial(label, context, n)
	if err != nil {
		return nil, &Error{Code: Internal, Op: "export", Peer: q.id, Err: err}
	}
	return b, nil
}

func (q *quicConn) stats() pathStats {
	st := q.c.ConnectionStats()
	return pathStats{
		carrier: "quic",
		rtt:     st.SmoothedRTT, minRTT: st.MinRTT, latestRTT: st.LatestRTT, deviation: st.MeanDeviation,
		bytesSent: st.BytesSent, bytesReceived: st.BytesReceived, packetsSent: st.PacketsSent, packetsReceived: st.PacketsReceived,
		bytesLost: st.BytesLost, packetsLost: st.PacketsLost, congestionWindow: st.CongestionWindow,
	}
}

func (q *quicConn) peer() peer.ID        { return q.id }
func (q *quicConn) localAddr() net.Addr  { return q.c.LocalAddr() }
func (q *quicConn) remoteAddr() net.Addr { return q.c.RemoteAddr() }

// quicStream is a stream of a quicConn.
type quicStream struct {
	s  *quic.Stream
	id peer.ID
}

var _ stream = (*quicStream)(nil)

func (s *quicStream) Read(p []byte) (int, error) {
	n, err := s.s.Read(p)
	return n, s.err("read", err)
}

func (s *quicStream) Write(p []byte) (int, error) {
	n, err := s.s.Write(p)
	return n, s.err("write", err)
}

func (s *quicStream) peek() error {
	var b [1]byte
	_, err := s.s.Peek(b[:])
	return s.err("read", err)
}

func (s *quicStream) err(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return quicError(op, s.id, err)
}

// closeWrite fails if the peer has stopped reading, and then says so: quic-go's own error does not.
func (s *quicStream) closeWrite() error {
	err := s.s.Close()
	if err != nil && s.s.Context().Err() != nil {
		err = context.Cause(s.s.Context())
	}
	return s.err("close", err)
}

func (s *quicStream) cancelRead(code resetCode)          { s.s.CancelRead(quic.StreamErrorCode(code)) }
func (s *quicStream) cancelWrite(code resetCode)         { s.s.CancelWrite(quic.StreamErrorCode(code)) }
func (s *quicStream) setReadDeadline(t time.Time) error  { return s.s.SetReadDeadline(t) }
func (s *quicStream) setWriteDeadline(t time.Time) error { return s.s.SetWriteDeadline(t) }

// setPriority also makes streams of equal priority share, rather than follow one another.
func (s *quicStream) setPriority(p priority) { s.s.SetPriority(int8(p), true) }
