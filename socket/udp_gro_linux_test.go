package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// These tests use real UDP sockets on loopback: they are about what the kernel does with trains.

// What quic-go asks of a connection that it reads in batches and sends on with GSO and ECN.
var _ interface {
	quic.OOBCapablePacketConn
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
} = (*groConn)(nil)

// quicPacket is the size of quic-go's packet buffers.
const quicPacket = 1452

// T1: trains arrive as the packets they were, with a shorter last one, each with the sender, the ECN bits and the
// destination of its train, however many quic-go takes in one call; in IPv4, IPv6, and IPv4 on a
// socket of both.
func TestGROSplits(t *testing.T) {
	for _, way := range []struct{ listen, dial string }{{"127.0.0.1:0", "127.0.0.1"}, {"[::1]:0", "::1"}, {":0", "127.0.0.1"}} {
		t.Run(way.listen, func(t *testing.T) {
			r, w := groPair(t, way.listen, way.dial)
			type train struct {
				size, packets, last int
				ecn                 uint32
			}
			trains := []train{{1200, 9, 345, 3}, {1452, 10, 1452, 1}, {600, 1, 600, 2}, {700, 2, 1, 0}, {0, 1, 0, 1}, {1252, 40, 8, 2}}
			for _, batch := range []int{1, 3, 8, 100} {
				total := 0
				for _, tr := range trains {
					total += tr.packets
					size := uint16(tr.size)
					if tr.packets == 1 {
						size = 0
					}
					sendTrain(t, w, pattern((tr.packets-1)*tr.size+tr.last), size, tr.ecn)
				}
				got := readPackets(t, r, total, packets(batch, quicPacket))
				for i, tr := range trains {
					data := pattern((tr.packets-1)*tr.size + tr.last)
					for range tr.packets {
						want := data[:min(len(data), tr.size)]
						data = data[len(want):]
						m := got[0]
						got = got[1:]
						if !bytes.Equal(m.Buffers[0], want) {
							t.Fatalf("batches of %d, train %d: %d bytes are not the %d sent", batch, i, m.N, len(want))
						}
						if mark, destination := ecnOf(t, &m); mark != int(tr.ecn) || !destination {
							t.Errorf("train %d: ECN %d, want %d; destination %v", i, mark, tr.ecn, destination)
						}
						if m.Addr.(*net.UDPAddr).AddrPort().Port() != w.LocalAddr().(*net.UDPAddr).AddrPort().Port() {
							t.Errorf("train %d is from %v, want %v", i, m.Addr, w.LocalAddr())
						}
						if m.Flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
							t.Errorf("train %d: flags %#x", i, m.Flags)
						}
					}
				}
			}
			if len(r.queue) > 0 {
				t.Error("something is left")
			}
		})
	}
}

// The longest trains and packets that the kernel delivers: a train is never cut, and a packet longer than its buffer is
// cut alone and says so, as without GRO.
func TestGROLongest(t *testing.T) {
	r, w := groPair(t, "127.0.0.1:0", "127.0.0.1")
	const (
		longest = 65507                // bytes: 65,535 less the headers of IP and UDP
		train   = 65535 - 14 - 28 - 20 // a little less: the loopback device breaks up what does not fit with all headers
	)
	sendTrain(t, w, pattern(train), 1300, 0)
	data := pattern(train)
	for _, m := range readPackets(t, r, (train+1299)/1300, packets(1, quicPacket)) {
		if !bytes.Equal(m.Buffers[0], data[:m.N]) || m.Flags&unix.MSG_TRUNC != 0 {
			t.Fatalf("wrong packet of %d bytes, flags %#x", m.N, m.Flags)
		}
		data = data[m.N:]
	}
	if len(data) != 0 {
		t.Fatalf("the last %d bytes of the train are missing", len(data))
	}
	if r.trains[0].N != train {
		t.Errorf("the kernel made one train of %d bytes, want %d: this tests less than it says", r.trains[0].N, train)
	}

	sendTrain(t, w, pattern(3*9000+100), 9000, 1)
	sendTrain(t, w, pattern(longest), 0, 2)
	sendTrain(t, w, pattern(50), 0, 3)
	data = pattern(3*9000 + 100)
	for i, want := range []struct {
		data []byte
		cut  bool
		ecn  int
	}{
		{data[:quicPacket], true, 1},
		{data[9000:][:quicPacket], true, 1},
		{data[18000:][:quicPacket], true, 1},
		{data[27000:], false, 1},
		{pattern(quicPacket), true, 2},
		{pattern(50), false, 3},
	} {
		m := readPackets(t, r, 1, packets(1, quicPacket))[0]
		mark, _ := ecnOf(t, &m)
		if !bytes.Equal(m.Buffers[0], want.data) || m.Flags&unix.MSG_TRUNC != 0 != want.cut || mark != want.ecn {
			t.Errorf("packet %d: %d bytes, flags %#x, ECN %d", i, m.N, m.Flags, mark)
		}
	}
}

// takeSize against control messages that the kernel does not send in our tests.
func TestTakeSize(t *testing.T) {
	word := func(n int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }
	size := func(n int32) []byte { return cmsg(unix.IPPROTO_UDP, unix.UDP_GRO, word(n)) }
	tos, class := cmsg(unix.IPPROTO_IP, unix.IP_TOS, []byte{2}), cmsg(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, word(1))
	for name, c := range map[string]struct {
		in   [][]byte
		size int
		out  [][]byte
	}{
		"nothing":      {},
		"no size":      {in: [][]byte{tos, class}, out: [][]byte{tos, class}},
		"size alone":   {in: [][]byte{size(1200)}, size: 1200},
		"first":        {in: [][]byte{size(1200), tos, class}, size: 1200, out: [][]byte{tos, class}},
		"between":      {in: [][]byte{tos, size(1200), class}, size: 1200, out: [][]byte{tos, class}},
		"last":         {in: [][]byte{tos, class, size(1200)}, size: 1200, out: [][]byte{tos, class}},
		"cut short":    {in: [][]byte{size(1200), tos, class[:10]}, size: 1200, out: [][]byte{tos}},
		"too short":    {in: [][]byte{cmsg(unix.IPPROTO_UDP, unix.UDP_GRO, []byte{1})}, out: [][]byte{cmsg(unix.IPPROTO_UDP, unix.UDP_GRO, []byte{1})}},
		"another kind": {in: [][]byte{cmsg(unix.IPPROTO_UDP, unix.UDP_SEGMENT, word(9))}, out: [][]byte{cmsg(unix.IPPROTO_UDP, unix.UDP_SEGMENT, word(9))}},
	} {
		t.Run(name, func(t *testing.T) {
			oob := bytes.Join(c.in, nil)
			got, n := takeSize(oob)
			if want := bytes.Join(c.out, nil); got != c.size || !bytes.Equal(oob[:n], want) {
				t.Errorf("size %d, messages %x; want %d, %x", got, oob[:n], c.size, want)
			}
		})
	}
}

// A deadline ends a read that waits, as quic-go's Transport.Close needs, and after it one can read on; Close ends it for good.
func TestGROReadEnds(t *testing.T) {
	r, w := groPair(t, "127.0.0.1:0", "127.0.0.1")
	ms := packets(8, quicPacket)
	if err := r.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if n, err := r.ReadBatch(ms, 0); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatalf("%d packets, %v", n, err)
	}
	if err := r.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	sendTrain(t, w, pattern(3000), 1200, 0)
	readPackets(t, r, 3, ms)

	for _, end := range []struct {
		by   func() error
		want error
	}{
		{func() error { return r.SetReadDeadline(time.Now()) }, os.ErrDeadlineExceeded},
		{r.Close, net.ErrClosed},
	} {
		ended := make(chan error)
		go func() {
			_, err := r.ReadBatch(ms, 0)
			ended <- err
		}()
		if err := end.by(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, end.want) {
			t.Errorf("%v, want %v", err, end.want)
		}
	}
}

// A train costs two allocations, for the address of its sender, and its packets none.
func TestGROAllocations(t *testing.T) {
	r, w := groPair(t, "127.0.0.1:0", "127.0.0.1")
	data, ms := pattern(40*1200), packets(8, quicPacket)
	segment := cmsg(unix.IPPROTO_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, 1200))
	perTrain := testing.AllocsPerRun(100, func() {
		if _, _, err := w.WriteMsgUDP(data, segment, nil); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < 40; {
			n, err := r.ReadBatch(ms, 0)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
	})
	// More than two where a pool of x/net has been emptied, as the race detector does at random.
	if perTrain > 20 {
		t.Errorf("%v allocations for a train of 40 packets, want 2", perTrain)
	}
}

// F4: what a udpConn forgives when it sends, it forgives with GRO too.
func TestGROForgives(t *testing.T) {
	r, _ := groPair(t, ":0", "127.0.0.1")
	nowhere := &net.UDPAddr{IP: net.ParseIP("ff02::1"), Port: 9, Zone: "lo"} // loopback has no multicast
	if _, _, err := r.UDPConn.WriteMsgUDP([]byte("lost"), nil, nowhere); err == nil || !transient(err) {
		t.Skipf("this machine does not refuse the address for a moment: %v", err)
	}
	if n, _, err := r.WriteMsgUDP([]byte("lost"), nil, nowhere); n != 4 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// A socket whose option the kernel refuses stays as it is.
func TestNoGRO(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.Close(); err != nil { // no kernel sets an option now
		t.Fatal(err)
	}
	if got, ok := wrapUDP(pc.(*net.UDPConn)).(*udpConn); !ok {
		t.Errorf("%T", got)
	}
}
