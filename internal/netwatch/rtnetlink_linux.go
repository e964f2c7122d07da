package netwatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// The messages of rtnetlink(7) and netlink(7), as far as they concern us. All integers are in the machine's order,
// messages and attributes are aligned to 4 bytes.

var (
	errMalformed   = errors.New("netwatch: malformed netlink message")
	errInterrupted = errors.New("netwatch: the network changed while it was read")
)

// message is one netlink message; payload is part of the buffer it was parsed from.
type message struct {
	typ     uint16
	flags   uint16
	payload []byte
}

// messages splits a datagram. It yields errMalformed, last, if the datagram is cut short.
func messages(b []byte) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		for len(b) > 0 {
			if len(b) < unix.SizeofNlMsghdr {
				yield(message{}, errMalformed)
				return
			}
			size := binary.NativeEndian.Uint32(b)
			if size < unix.SizeofNlMsghdr || uint64(size) > uint64(len(b)) {
				yield(message{}, errMalformed)
				return
			}
			m := message{
				typ: binary.NativeEndian.Uint16(b[4:]), flags: binary.NativeEndian.Uint16(b[6:]),
				payload: b[unix.SizeofNlMsghdr:size],
			}
			if !yield(m, nil) {
				return
			}
			b = b[min(align(int(size)), len(b)):]
		}
	}
}

// attributes splits the route attributes after a message's fixed part. It yields errMalformed, last, if they are cut
// short.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			size := int(binary.NativeEndian.Uint16(b))
			if size < unix.SizeofRtAttr || size > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:]), b[unix.SizeofRtAttr:size]) {
				return
			}
			b = b[min(align(size), len(b)):]
		}
	}
}

func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// relevant reports whether a datagram of events can mean a change. One that cannot be read can.
func relevant(b []byte) bool {
	for m, err := range messages(b) {
		if err != nil {
			return true
		}
		switch m.typ {
		case unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_DELADDR, unix.RTM_NEWROUTE, unix.RTM_DELROUTE,
			unix.RTM_NEWRULE, unix.RTM_DELRULE, unix.NLMSG_ERROR, unix.NLMSG_OVERRUN:
			return true
		}
	}
	return false
}

// snapshot gathers replies about links, addresses and routes.
type snapshot struct {
	live  map[uint32]bool // by interface: up, with a carrier, not loopback
	addrs []ifAddr
	lines state // of routes, until state adds the addresses
}

type ifAddr struct {
	link   uint32
	prefix netip.Prefix
}

// add takes in a datagram of replies to one request; last reports whether it ends them.
func (s *snapshot) add(b []byte) (last bool, err error) {
	for m, err := range messages(b) {
		if err != nil {
			return false, err
		}
		if m.flags&unix.NLM_F_DUMP_INTR != 0 {
			return false, errInterrupted
		}
		switch m.typ {
		case unix.NLMSG_DONE:
			return true, nil
		case unix.NLMSG_ERROR:
			if len(m.payload) < 4 {
				return false, errMalformed
			}
			return true, replyError(int32(binary.NativeEndian.Uint32(m.payload)))
		case unix.RTM_NEWLINK:
			err = s.addLink(m.payload)
		case unix.RTM_NEWADDR:
			err = s.addAddr(m.payload)
		case unix.RTM_NEWROUTE:
			err = s.addRoute(m.payload)
		}
		if err != nil {
			return false, err
		}
		if m.flags&unix.NLM_F_MULTI == 0 {
			last = true
		}
	}
	return last, nil
}

// replyError is the error that the kernel sent, negated. That there is no route is an answer, not an error.
func replyError(code int32) error {
	if code == 0 {
		return nil
	}
	errno := unix.Errno(-code)
	switch errno { //nolint:exhaustive // every other errno is an error
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL, unix.EAFNOSUPPORT, unix.EOPNOTSUPP:
		return nil // none, unreachable, prohibited, black hole; the kernel lacks the family
	}
	return fmt.Errorf("netwatch: netlink: %w", errno)
}

func (s *snapshot) addLink(b []byte) error {
	if len(b) < unix.SizeofIfInfomsg {
		return errMalformed
	}
	const needed = unix.IFF_UP | unix.IFF_RUNNING
	flags := binary.NativeEndian.Uint32(b[8:])
	if flags&needed == needed && flags&unix.IFF_LOOPBACK == 0 {
		s.live[binary.NativeEndian.Uint32(b[4:])] = true
	}
	return nil
}

func (s *snapshot) addAddr(b []byte) error {
	if len(b) < unix.SizeofIfAddrmsg {
		return errMalformed
	}
	bits, flags, link := int(b[1]), uint32(b[2]), binary.NativeEndian.Uint32(b[4:])
	var addr, local netip.Addr
	for typ, v := range attributes(b[unix.SizeofIfAddrmsg:]) {
		switch typ {
		case unix.IFA_ADDRESS:
			addr, _ = netip.AddrFromSlice(v)
		case unix.IFA_LOCAL: // on point-to-point links IFA_ADDRESS is the other side
			local, _ = netip.AddrFromSlice(v)
		case unix.IFA_FLAGS:
			if len(v) == 4 {
				flags = binary.NativeEndian.Uint32(v)
			}
		}
	}
	if local.IsValid() {
		addr = local
	}
	unusable := flags&unix.IFA_F_DADFAILED != 0 || flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC) == unix.IFA_F_TENTATIVE
	if !addr.IsValid() || unusable || addr.Is6() && addr.IsLinkLocalUnicast() {
		return nil
	}
	s.addrs = append(s.addrs, ifAddr{link, netip.PrefixFrom(addr, bits)})
	return nil
}

// addRoute takes in the route to an address on the Internet.
func (s *snapshot) addRoute(b []byte) error {
	if len(b) < unix.SizeofRtMsg {
		return errMalformed
	}
	var link uint32
	var gateway, source []byte
	for typ, v := range attributes(b[unix.SizeofRtMsg:]) {
		switch typ {
		case unix.RTA_OIF:
			if len(v) == 4 {
				link = binary.NativeEndian.Uint32(v)
			}
		case unix.RTA_GATEWAY, unix.RTA_VIA:
			gateway = v
		case unix.RTA_PREFSRC:
			source = v
		}
	}
	s.lines = append(s.lines, fmt.Sprintf("route of family %d: interface %d, gateway %x, source %x", b[0], link, gateway, source))
	return nil
}

func (s *snapshot) state() state {
	lines := slices.Clone(s.lines)
	for _, a := range s.addrs {
		if s.live[a.link] {
			lines = append(lines, fmt.Sprintf("interface %d: %v", a.link, a.prefix))
		}
	}
	slices.Sort(lines)
	return lines
}
