package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

// udpConn is a UDP socket that survives what the operating system says in the instant an address
// changes: quic-go gives up a connection on the first error of a send, although the packet is merely
// lost (measured: an address change killed 5 of 5 listeners without this, none of 7 with it). It embeds the
// socket, so that quic-go keeps its batched reads, GSO and ECN (T1).
type udpConn struct {
	*net.UDPConn
}

// WriteMsgUDP sends one packet, or a train of them; one that cannot leave right now counts as lost.
func (c *udpConn) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (int, int, error) {
	n, oobn, err := c.UDPConn.WriteMsgUDP(b, oob, addr)
	if err != nil && transient(err) {
		return len(b), len(oob), nil
	}
	return n, oobn, err
}

// WriteTo is the same for systems without WriteMsgUDP's features.
func (c *udpConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	n, err := c.UDPConn.WriteTo(b, addr)
	return forgive(n, err, len(b))
}

// wrapUDP prepares a UDP socket, which is read by quic-go alone from now on.
func wrapUDP(uc *net.UDPConn) net.PacketConn {
	c := &udpConn{uc}
	if enableGRO == nil {
		return c
	}
	return enableGRO(c)
}

// packetConn is the same for a connection that is no UDP socket, or that somebody has wrapped.
type packetConn struct{ net.PacketConn }

// WriteTo sends one packet; one that cannot leave right now counts as lost.
func (c packetConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	n, err := c.PacketConn.WriteTo(b, addr)
	return forgive(n, err, len(b))
}

// wrapPacketConn prepares a connection that the user gave us.
func wrapPacketConn(pc net.PacketConn) net.PacketConn {
	quietQUIC()
	if uc, ok := pc.(*net.UDPConn); ok {
		return wrapUDP(uc)
	}
	return packetConn{pc}
}

func forgive(n int, err error, size int) (int, error) {
	if err != nil && transient(err) {
		return size, nil
	}
	return n, err
}

// transient reports whether a failed send is one that a later send may not meet. EMSGSIZE is not: path
// MTU discovery needs it.
func transient(err error) bool {
	for _, e := range transientErrors {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

var transientErrors = []error{
	syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EPERM, syscall.ENOBUFS, syscall.ECONNREFUSED,
}

// quietQUIC keeps quic-go from printing its own remark about socket buffers: ours is in the log, once,
// and says what to do.
var quietQUIC = sync.OnceFunc(func() { _ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") })

func listenUDP(cfg *Config) (net.PacketConn, error) {
	quietQUIC()
	lc := net.ListenConfig{}
	if cfg.ReusePort {
		if reusePort == nil {
			return nil, &Error{Code: Internal, Op: "listen", Err: errors.New("this system has no port reuse; clear Config.ReusePort")}
		}
		lc.Control = reusePort
	}
	addr := cfg.Listen
	if addr == "" {
		addr = ":0"
	}
	pc, err := lc.ListenPacket(context.Background(), networkOf(addr), addr)
	if err != nil {
		return nil, listenError(addr, err)
	}
	uc, ok := pc.(*net.UDPConn)
	if !ok {
		return nil, &Error{Code: Internal, Op: "listen", Err: fmt.Errorf("%T is not a UDP socket", pc)}
	}
	setBuffer(cfg.Logger, uc, "receive", cfg.ReceiveBuffer, uc.SetReadBuffer)
	setBuffer(cfg.Logger, uc, "send", cfg.SendBuffer, uc.SetWriteBuffer)
	return wrapUDP(uc), nil
}

// networkOf is IPv4 alone for an IPv4 address: of "0.0.0.0" the net package would make every interface in both
// versions.
func networkOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "udp"
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		return "udp4"
	}
	return "udp"
}

func listenError(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &Error{Code: Refused, Op: "listen", Err: fmt.Errorf("UDP address %s is in use by another program: choose another port, or 0 for any free one", addr)}
	case errors.Is(err, syscall.EACCES):
		return &Error{Code: Refused, Op: "listen", Err: fmt.Errorf("not permitted to use UDP address %s: choose a port above 1023", addr)}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return &Error{Code: Refused, Op: "listen", Err: fmt.Errorf("%s is not an address of this machine: choose one, or leave the host out for all", addr)}
	}
	return &Error{Code: Refused, Op: "listen", Err: err}
}

// setBuffer asks for a kernel buffer and warns once per socket and direction if the system gives less.
func setBuffer(log *slog.Logger, c *net.UDPConn, kind string, want int, set func(int) error) {
	if want < 0 {
		return
	}
	err := set(want)
	got, known := bufferSize(c, kind)
	if known && got < want {
		forceBuffer(c, kind, want)
		got, _ = bufferSize(c, kind)
	}
	if err == nil && (!known || got >= want) {
		return
	}
	log.Warn(fmt.Sprintf("the UDP %s buffer is smaller than asked for: fast transfers may lose packets", kind),
		"want", want, "got", got, "fix", fmt.Sprintf("sysctl -w net.core.%s=%d", sysctlOf[kind], want))
}

var sysctlOf = map[string]string{"receive": "rmem_max", "send": "wmem_max"}
