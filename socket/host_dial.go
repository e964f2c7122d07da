package socket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"

	"parley/peer"
	"parley/wire"
)

// headStart is how long one address of a peer is tried alone before the next is tried beside it, as
// Happy Eyeballs does (RFC 8305, 5).
const headStart = 250 * time.Millisecond

// Dial returns the established session with the peer id, making a connection to address ("host:port") if
// there is none that works. If the peer dials us at the same time, both calls return the one session (C2). The
// address is remembered: the session uses it, and others that have worked, to connect again by itself (C8, T9).
//
// It fails with Authentication if another key answers there, in which case nothing has been sent to it,
// or if the peer does not know our network secret; with Refused if we or the peer do not admit the
// other, or if address makes no sense; with NotFound if its name has no address; with Timeout if nobody
// answers within ctx or Config.HandshakeTimeout. A session that exists but cannot be reached stays.
func (h *Host) Dial(ctx context.Context, id peer.ID, address string) (*Session, error) {
	if err := h.mayTalk(id); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.HandshakeTimeout)
	defer cancel()
	var above uint64
	for again := 0; ; again++ {
		s, err := h.dialOnce(ctx, id, address, above)
		if again == maxDialAgain || ctx.Err() != nil {
			return s, err
		}
		if outdated, ok := errors.AsType[*outdatedError](err); ok {
			if above = outdated.above; above >= maxIncarnation {
				return nil, violation(id, "incarnation out of range")
			}
			continue
		}
		if !errors.Is(err, StateLost) { // else the session we knew is over, and a new one can begin
			return s, err
		}
	}
}

// maxDialAgain bounds how often Dial begins anew because the peer's answer says that it has to.
const maxDialAgain = 3

func (h *Host) dialOnce(ctx context.Context, id peer.ID, address string, above uint64) (*Session, error) {
	if s, ok := h.Session(id); ok && s.State() == StateEstablished && s.life.Err() == nil {
		s.asked.Store(true)
		s.addresses.given(address)
		if err := s.awaitUp(ctx); err != nil {
			return nil, err
		}
		return s, nil
	}
	addrs, err := h.resolve(ctx, address)
	if err != nil {
		code := Refused
		if _, ok := errors.AsType[*net.DNSError](err); ok {
			code = NotFound
		}
		if ctx.Err() != nil {
			code = Timeout
		}
		return nil, &Error{Code: code, Op: "dial", Peer: id, Err: err}
	}
	s, err := h.hold(ctx, id, 0, above)
	if err != nil {
		return nil, err
	}
	s.asked.Store(true)
	s.addresses.given(address)
	return h.race(ctx, s, addrs)
}

// again makes another connection for a session that exists.
func (h *Host) again(ctx context.Context, s *Session, to target) error {
	select {
	case h.redials <- struct{}{}:
		defer func() { <-h.redials }()
	case <-ctx.Done():
		return ctxError(ctx, "reconnect", s.peer)
	}
	addr := to.seen
	if addr == nil {
		addrs, err := h.resolve(ctx, to.text)
		if err != nil {
			return &Error{Code: NotFound, Op: "reconnect", Peer: s.peer, Err: err}
		}
		addr = addrs[rand.N(len(addrs))] //nolint:gosec // any of them
	}
	return h.connect(ctx, s, addr)
}

// renew begins a new session with a peer that has lost the state of the last, which our application had asked
// for, after a pause. Whoever observes the host learns of both.
func (h *Host) renew(pause time.Duration, id peer.ID, addresses []string) {
	select {
	case <-time.After(pause):
	case <-h.life.Done():
		return
	}
	for _, a := range addresses {
		if _, err := h.Dial(h.life, id, a); err == nil || h.life.Err() != nil {
			return
		}
	}
}

// race tries the addresses of a peer, each with a head start on the next. Attempts that lose end with ctx,
// unless they have said Hello: those go on by themselves, and what they bring merges into the session.
func (h *Host) race(ctx context.Context, s *Session, addrs []*net.UDPAddr) (_ *Session, err error) {
	defer func() { h.release(s, err) }()
	results := make(chan error, len(addrs))
	var last error
	started, failed := 0, 0
	start := func() bool {
		if !h.begin(s) {
			return false
		}
		addr := addrs[started]
		started++
		go func() {
			defer h.serving.Done()
			err := h.connect(ctx, s, addr)
			h.release(s, err)
			results <- err
		}()
		return true
	}
	if !start() {
		return nil, &Error{Code: Closed, Op: "dial", Peer: s.peer, Err: errHostClosed}
	}
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	for {
		select {
		case <-s.established:
			if s.State() > StateEstablished {
				return nil, s.fail("dial")
			}
			return s, nil
		case err := <-results:
			if err == nil || isClose(err, closeDrained) { // the peer goes on with another connection: it is on its way
				continue
			}
			failed++
			last = err
			if failed == len(addrs) {
				return nil, last
			}
			timer.Reset(0)
		case <-timer.C:
			if started < len(addrs) && start() {
				timer.Reset(headStart)
			}
		case <-ctx.Done():
			if last != nil {
				return nil, last
			}
			return nil, ctxError(ctx, "dial", s.peer)
		case <-s.life.Done():
			if outdated, ok := errors.AsType[*outdatedError](context.Cause(s.life)); ok {
				return nil, outdated
			}
			if last != nil {
				return nil, last
			}
			return nil, s.fail("dial")
		}
	}
}

// begin counts an attempt in the host and in the session.
func (h *Host) begin(s *Session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	s.holds++
	h.serving.Add(1)
	return true
}

// connect makes one connection and adds it to the session. The end of ctx stops it only before Hello:
// after that the peer may already rely on the connection.
func (h *Host) connect(ctx context.Context, s *Session, addr net.Addr) error {
	h.counters.dialled.Add(1)
	c, err := h.carrier.dial(ctx, addr, s.peer)
	if err != nil {
		h.counters.dialsFailed.Add(1)
		return err
	}
	ctx, cancel := context.WithTimeout(s.life, h.cfg.HandshakeTimeout)
	defer cancel()
	err = h.introduce(ctx, s, c)
	if err != nil {
		h.counters.dialsFailed.Add(1)
		c.close(farewellOf(err), "")
	}
	return err
}

// introduce is the dialler's half of the handshake above the connection: Hello, and the peer's Accept.
// Until Accept has come, nothing but Hello is sent: TLS tells a dialler nothing of whether it was
// accepted.
func (h *Host) introduce(ctx context.Context, s *Session, c connection) error {
	ekm, err := c.export(exporterLabel, nil, exporterSize)
	if err != nil {
		return err
	}
	control, err := c.open(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = control.setReadDeadline(time.Unix(1, 0)) })
	defer stop()
	hello := &wire.Hello{
		Version: wire.Version, Incarnation: s.local, PeerIncarnation: s.remote.Load(), Proof: h.prover.proof(dialler, h.id, s.peer, ekm),
		Agent: agent, Lanes: wire.MaxLanes, MaxBlock: uint64(h.cfg.MaxBlock),
		Generation: min(s.generation.Load()+1, maxGeneration), Connections: uint32(h.cfg.Connections),
	}
	if hello.GetPeerIncarnation() != 0 {
		hello.Received = s.received()
	}
	out, err := wire.Preamble{Kind: wire.StreamControl}.Append(nil)
	if err == nil {
		out, err = wire.AppendControl(out, &wire.Control{Kind: &wire.ControlHello{Hello: hello}})
	}
	if err != nil {
		return &Error{Code: Internal, Op: "dial", Peer: s.peer, Err: err}
	}
	if _, err = control.Write(out); err != nil {
		return handshakeError(ctx, c, "dial", err)
	}
	frames := bufio.NewReaderSize(control, controlBuffer)
	if hello.GetPeerIncarnation() != 0 && s.mayGoOn() {
		return s.join(ctx, c, control, frames, true, hello.GetGeneration(), nil)
	}
	frame, err := wire.ReadControl(frames)
	if err != nil {
		return handshakeError(ctx, c, "dial", err)
	}
	if outdated := frame.GetOutdated(); outdated != nil {
		return &outdatedError{above: outdated.GetIncarnation()}
	}
	if err := s.checkAccept(frame.GetAccept(), ekm, hello.GetPeerIncarnation() != 0); err != nil {
		return err
	}
	return s.join(ctx, c, control, frames, true, hello.GetGeneration(), frame.GetAccept())
}

// mayGoOn reports whether a connection for the session may carry its data together with Hello, a round trip
// before Accept (C4): the peer, whose key TLS has just proved, accepted us when the session began. On a private
// network it has yet to prove that it knows the secret, too.
func (s *Session) mayGoOn() bool { return s.up() && s.remote.Load() != 0 && s.host.prover == nil }

// checkAccept checks the listener's answer to our Hello, which asked to resume the session or not.
func (s *Session) checkAccept(accept *wire.Accept, ekm []byte, resume bool) error {
	switch {
	case accept == nil:
		return violation(s.peer, "the first frame is not Accept")
	case accept.GetVersion() != wire.Version:
		return &Error{Code: Version, Op: "dial", Peer: s.peer, Err: fmt.Errorf("the peer speaks version %d", accept.GetVersion())}
	case !s.host.prover.check(accept.GetProof(), listener, s.host.id, s.peer, ekm):
		return &Error{Code: Authentication, Op: "dial", Peer: s.peer, Err: errSecret}
	case accept.GetPeerIncarnation() != s.local:
		return violation(s.peer, "Accept is for another session")
	case accept.GetResumed() != resume: // else one side would begin anew and the other go on
		return violation(s.peer, "Accept resumes what was not asked for, or the reverse")
	case !s.bind(accept.GetIncarnation()):
		return &Error{Code: Superseded, Op: "dial", Peer: s.peer, Err: errors.New("the peer began anew meanwhile")}
	}
	return nil
}

var errSecret = errors.New("the peer does not have our network secret")

const (
	agent         = "parley-go"
	controlBuffer = 512 // control frames are rare and mostly below 100 bytes
)

// offer is what a peer says in Hello or Accept about what it takes, and what it has.
type offer interface {
	GetMaxBlock() uint64
	GetLanes() uint32
	GetConnections() uint32
	GetReceived() []*wire.LaneCount
}

// join adds a connection to the session. Without an offer the peer's Accept has yet to come.
func (s *Session) join(ctx context.Context, c connection, control stream, frames *bufio.Reader, dialled bool, generation uint64, o offer) error {
	_ = control.setReadDeadline(time.Time{})
	n, err := newLink(s, c, control, frames, dialled, generation)
	if err != nil {
		return err
	}
	if o != nil {
		s.peerMaxBlock.Store(int64(min(o.GetMaxBlock(), wire.MaxPayload)))
		s.peerLanes.Store(uint64(o.GetLanes()))
		s.lanes.CompareAndSwap(0, uint64(min(o.GetLanes(), uint32(s.host.cfg.Lanes))))
	}
	a := &joining{offer: o, reply: make(chan error, 1)}
	select {
	case s.events <- event{kind: evAttach, link: n, attach: a}:
		return <-a.reply
	case <-s.life.Done():
		return s.fail("handshake")
	case <-ctx.Done():
		return ctxError(ctx, "handshake", s.peer)
	}
}

// handshakeError prefers why the connection died, if it did, and then the end of ctx.
func handshakeError(ctx context.Context, c connection, op string, err error) error {
	var syntax *wire.SyntaxError
	switch {
	case c.context().Err() != nil:
		return context.Cause(c.context())
	case ctx.Err() != nil:
		return ctxError(ctx, op, c.peer())
	case errors.As(err, &syntax):
		return violation(c.peer(), err.Error())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return violation(c.peer(), "the handshake was broken off")
	}
	return err
}

// farewellOf is the code with which a connection ends whose handshake failed of err.
func farewellOf(err error) closeCode {
	if _, ok := errors.AsType[*outdatedError](err); ok {
		return closeSuperseded
	}
	if code, ok := codeToClose[CodeOf(err)]; ok {
		return code
	}
	return closeInternal
}

// mayTalk checks that id is a peer that we admit.
func (h *Host) mayTalk(id peer.ID) error {
	switch {
	case id.IsZero():
		return &Error{Code: Refused, Op: "dial", Err: errors.New("no peer id given")}
	case id == h.id:
		return &Error{Code: Refused, Op: "dial", Peer: id, Err: errors.New("that is our own key")}
	case h.cfg.Admit == nil:
		return nil
	}
	if err := h.cfg.Admit(id); err != nil {
		return &Error{Code: Refused, Op: "dial", Peer: id, Err: err}
	}
	return nil
}

// resolve turns "host:port" into addresses that our socket can reach.
func (h *Host) resolve(ctx context.Context, address string) ([]*net.UDPAddr, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%q is not host:port", address)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("%q is not a port between 1 and 65535", portText)
	}
	var ips []netip.Addr
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = []netip.Addr{ip}
	} else if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, err
	}
	var out []*net.UDPAddr
	for _, ip := range ips {
		if h.reaches(ip.Unmap()) {
			out = append(out, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip.Unmap(), uint16(port))))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the socket %s cannot reach %s: other IP version", h.Addr(), host)
	}
	return out, nil
}

// reaches reports whether our socket's IP version fits.
func (h *Host) reaches(ip netip.Addr) bool {
	ua, ok := h.Addr().(*net.UDPAddr)
	if !ok {
		return true
	}
	local := ua.AddrPort().Addr()
	if local.IsUnspecified() && !local.Is4() { // bound to [::]: both
		return true
	}
	return local.Unmap().Is4() == ip.Is4()
}
