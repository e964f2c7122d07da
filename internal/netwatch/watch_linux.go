package netwatch

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// groups are the multicast groups of rtnetlink(7) to listen to; policy rules decide on routes too.
	groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR |
		unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE | unix.RTMGRP_IPV4_RULE | 1<<(unix.RTNLGRP_IPV6_RULE-1)
	// bufferSize holds any reply: the kernel makes datagrams of at most 32 KiB.
	bufferSize = 64 << 10
	// replyTimeout bounds the wait for a reply of the kernel, which comes at once unless it was lost.
	replyTimeout = time.Second
)

// probes are the addresses, of a DNS root server, whose route stands for the default route: asking for it sees
// through policy rules and VPNs, and does not grow with the routing table. Nothing is sent there.
var probes = []netip.Addr{netip.MustParseAddr("198.41.0.4"), netip.MustParseAddr("2001:503:ba3e::2:30")}

// watchSystem listens before it makes the first reading, so that no change falls between the two.
func watchSystem(ctx context.Context, changed func()) (run func(), err error) {
	events, err := listenNetlink(groups)
	if err != nil {
		return nil, err
	}
	old, err := readState()
	if err != nil {
		_ = events.Close()
		return nil, err
	}
	return func() {
		defer context.AfterFunc(ctx, func() { _ = events.Close() })()
		defer func() { _ = events.Close() }()
		for awaitEvents(events) {
			now, err := readState()
			switch {
			case err != nil: // most likely interrupted by yet another change
				_ = events.SetReadDeadline(time.Now().Add(settle))
			case ctx.Err() != nil:
				return
			case !slices.Equal(old, now):
				old = now
				changed()
			}
		}
	}, nil
}

// awaitEvents returns true once a burst of events has had its time, or a deadline set before has passed; false once the
// file is closed.
func awaitEvents(events *os.File) bool {
	b := make([]byte, bufferSize)
	for gathering := false; ; {
		n, err := events.Read(b)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return events.SetReadDeadline(time.Time{}) == nil
		case errors.Is(err, os.ErrClosed):
			return false
		case err == nil && !relevant(b[:n]):
			continue
		}
		// An event; or an error, of which ENOBUFS says that events were lost.
		if !gathering {
			gathering = true
			if events.SetReadDeadline(time.Now().Add(settle)) != nil {
				return false
			}
		}
	}
}

// readState asks the kernel for what counts.
func readState() (state, error) {
	f, err := listenNetlink(0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if err := f.SetDeadline(time.Now().Add(replyTimeout)); err != nil {
		return nil, err
	}
	s := &snapshot{live: map[uint32]bool{}}
	b := make([]byte, bufferSize)
	requests := [][]byte{
		request(unix.RTM_GETLINK, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfInfomsg)),
		request(unix.RTM_GETADDR, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfAddrmsg)),
	}
	for _, a := range probes {
		requests = append(requests, routeRequest(a))
	}
	for _, r := range requests {
		if _, err := f.Write(r); err != nil {
			return nil, err
		}
		for last := false; !last; {
			n, err := f.Read(b)
			if err != nil {
				return nil, err
			}
			if last, err = s.add(b[:n]); err != nil {
				return nil, err
			}
		}
	}
	return s.state(), nil
}

// listenNetlink opens a netlink socket that uses the runtime's poller.
func listenNetlink(groups uint32) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err == nil {
		err = unix.Connect(fd, kernel)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

func request(typ, flags uint16, payload []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(payload)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = binary.NativeEndian.AppendUint64(b, 0) // sequence number and port: a socket has one request at a time
	return append(b, payload...)
}

// routeRequest asks which route packets to an address take.
func routeRequest(to netip.Addr) []byte {
	family := byte(unix.AF_INET)
	if to.Is6() {
		family = unix.AF_INET6
	}
	raw := to.AsSlice()
	p := append([]byte{family, byte(to.BitLen())}, make([]byte, unix.SizeofRtMsg-2)...)
	p = binary.NativeEndian.AppendUint16(p, uint16(unix.SizeofRtAttr+len(raw)))
	p = binary.NativeEndian.AppendUint16(p, unix.RTA_DST)
	return request(unix.RTM_GETROUTE, 0, append(p, raw...))
}
