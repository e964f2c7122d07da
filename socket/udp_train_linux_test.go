package socket

import (
	"encoding/binary"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// groPair returns a socket that receives with GRO at that address, with quic-go's options set, and one that sends to it.
func groPair(t testing.TB, listen, dial string) (r *groConn, w *net.UDPConn) {
	t.Helper()
	pc, err := net.ListenPacket("udp", listen)
	if err != nil {
		t.Skipf("this machine has no %s: %v", listen, err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	r, ok := wrapUDP(pc.(*net.UDPConn)).(*groConn)
	if !ok {
		t.Skip("this kernel has no UDP_GRO")
	}
	raw, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, option := range [][2]int{
		{unix.IPPROTO_IP, unix.IP_RECVTOS},
		{unix.IPPROTO_IP, unix.IP_PKTINFO},
		{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS},
		{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO},
	} {
		_ = control(raw, func(fd int) error { return unix.SetsockoptInt(fd, option[0], option[1], 1) })
	}
	_, port, err := net.SplitHostPort(r.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", net.JoinHostPort(dial, port))
	if err != nil {
		t.Skipf("this machine has no way to %s: %v", dial, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := r.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil { // a test that fails shall end
		t.Fatal(err)
	}
	return r, c.(*net.UDPConn)
}

// cmsg is a control message with one value in the machine's byte order.
func cmsg(level, kind int32, value []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(value)))
	word := unix.SizeofCmsghdr - 8
	if word == 8 {
		binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(len(value))))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(unix.CmsgLen(len(value))))
	}
	binary.NativeEndian.PutUint32(b[word:], uint32(level))
	binary.NativeEndian.PutUint32(b[word+4:], uint32(kind))
	copy(b[unix.CmsgLen(0):], value)
	return b
}

// sendTrain sends data as packets of that size, marked with those ECN bits.
func sendTrain(t testing.TB, w *net.UDPConn, data []byte, size uint16, ecn uint32) {
	t.Helper()
	mark := binary.NativeEndian.AppendUint32(nil, ecn)
	oob := cmsg(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, mark)
	if w.RemoteAddr().(*net.UDPAddr).IP.To4() != nil {
		oob = cmsg(unix.IPPROTO_IP, unix.IP_TOS, mark)
	}
	if size > 0 {
		oob = append(oob, cmsg(unix.IPPROTO_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, size))...)
	}
	if n, _, err := w.WriteMsgUDP(data, oob, nil); err != nil || n != len(data) {
		t.Fatalf("sent %d of %d bytes: %v", n, len(data), err)
	}
}

// packets are n messages as quic-go makes them.
func packets(n, size int) []ipv4.Message {
	ms := make([]ipv4.Message, n)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, size)}
		ms[i].OOB = make([]byte, 128)
	}
	return ms
}

// readPackets calls ReadBatch with ms, which the returned ones share no memory with, until it has read n packets.
func readPackets(t testing.TB, r *groConn, n int, ms []ipv4.Message) []ipv4.Message {
	t.Helper()
	var all []ipv4.Message
	for len(all) < n {
		got, err := r.ReadBatch(ms, 0)
		if err != nil {
			t.Fatalf("after %d packets: %v", len(all), err)
		}
		if got == 0 {
			t.Fatal("no packet and no error, which quic-go would take for an empty packet")
		}
		for _, m := range ms[:got] {
			m.Buffers = [][]byte{slices.Clone(m.Buffers[0][:m.N])}
			m.OOB = slices.Clone(m.OOB[:m.NN])
			all = append(all, m)
		}
	}
	if len(all) > n {
		t.Fatalf("%d packets, want %d", len(all), n)
	}
	return all
}

// ecnOf is the ECN mark of a received packet, or -1 without one; it fails if a packet still has the size of its train.
func ecnOf(t *testing.T, m *ipv4.Message) (mark int, destination bool) {
	t.Helper()
	list, err := unix.ParseSocketControlMessage(m.OOB)
	if err != nil {
		t.Fatal(err)
	}
	mark = -1
	for _, c := range list {
		switch [2]int32{c.Header.Level, c.Header.Type} {
		case [2]int32{unix.IPPROTO_IP, unix.IP_TOS}, [2]int32{unix.IPPROTO_IPV6, unix.IPV6_TCLASS}:
			mark = int(c.Data[0]) & 3
		case [2]int32{unix.IPPROTO_IP, unix.IP_PKTINFO}, [2]int32{unix.IPPROTO_IPV6, unix.IPV6_PKTINFO}:
			destination = true
		case [2]int32{unix.IPPROTO_UDP, unix.UDP_GRO}:
			t.Error("the size of the train was handed on")
		}
	}
	return mark, destination
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13)
	}
	return b
}
