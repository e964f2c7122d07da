package netwatch

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// le decodes the bytes of a little-endian machine; tests that need them skip on others.
func le(t testing.TB, lines ...string) []byte {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the sample is of a little-endian machine")
	}
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(lines, ""), " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func link2(t testing.TB) []byte {
	return le(t,
		"20000000 1000 0200 00000000 00000000",  // 32 bytes, RTM_NEWLINK, multi
		"00 00 0100 02000000 43100100 00000000", // Ethernet, interface 2, up, running, broadcast, multicast, lower up
	)
}

func addr2(t testing.TB, flags string) []byte {
	return le(t,
		"30000000 1400 0200 00000000 00000000", // 48 bytes, RTM_NEWADDR, multi
		"02 18 80 00 02000000",                 // IPv4, /24, permanent, global, interface 2
		"0800 0100 c0000263",                   // IFA_ADDRESS 192.0.2.99, the other side
		"0800 0200 c0000201",                   // IFA_LOCAL 192.0.2.1
		"0800 0800", flags,                     // IFA_FLAGS
	)
}

func done(t testing.TB) []byte {
	return le(t, "14000000 0300 0200 00000000 00000000", "00000000") // 20 bytes, NLMSG_DONE
}

func route(t testing.TB) []byte {
	return le(t,
		"34000000 1800 0000 00000000 00000000", // 52 bytes, RTM_NEWROUTE
		"02 20 00 00 fe 00 00 01 00000000",     // IPv4, /32, table main, unicast
		"0800 0400 02000000",                   // RTA_OIF 2
		"0800 0500 c00002fe",                   // RTA_GATEWAY 192.0.2.254
		"0800 0700 c0000201",                   // RTA_PREFSRC 192.0.2.1
	)
}

func TestSnapshot(t *testing.T) {
	s := &snapshot{live: map[uint32]bool{}}
	for _, b := range [][]byte{slices.Concat(link2(t), addr2(t, "80000000")), addr2(t, "40000000")} { // permanent, tentative
		if last, err := s.add(b); last || err != nil {
			t.Fatal(last, err)
		}
	}
	for _, b := range [][]byte{done(t), route(t)} {
		if last, err := s.add(b); !last || err != nil {
			t.Fatal(last, err)
		}
	}
	want := state{"interface 2: 192.0.2.1/24", "route of family 2: interface 2, gateway c00002fe, source c0000201"}
	if got := s.state(); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	s.live[2] = false
	if got := s.state(); !slices.Equal(got, want[1:]) {
		t.Errorf("of an interface that is down: %q", got)
	}
}

func TestSnapshotErrors(t *testing.T) {
	interrupted := link2(t)
	interrupted[6] |= unix.NLM_F_DUMP_INTR
	for _, tc := range []struct {
		name string
		b    []byte
		last bool
		err  error
	}{
		{"no route", le(t, "14000000 0200 0000 00000000 00000000", "9bffffff"), true, nil}, // -ENETUNREACH
		{"refused", le(t, "14000000 0200 0000 00000000 00000000", "ffffffff"), true, unix.EPERM},
		{"interrupted", interrupted, false, errInterrupted},
		{"header cut", link2(t)[:15], false, errMalformed},
		{"message cut", link2(t)[:31], false, errMalformed},
		{"too small a length", append([]byte{15}, make([]byte, 15)...), false, errMalformed},
		{"link too short", le(t, "14000000 1000 0200 00000000 00000000", "00000000"), false, errMalformed},
		{"address too short", le(t, "14000000 1400 0200 00000000 00000000", "00000000"), false, errMalformed},
		{"route too short", le(t, "14000000 1800 0200 00000000 00000000", "00000000"), false, errMalformed},
		{"error too short", le(t, "10000000 0200 0200 00000000 00000000"), false, errMalformed},
	} {
		last, err := (&snapshot{live: map[uint32]bool{}}).add(tc.b)
		if last != tc.last || !errors.Is(err, tc.err) {
			t.Errorf("%s: %v, %v; want %v, %v", tc.name, last, err, tc.last, tc.err)
		}
	}
}

func TestRelevant(t *testing.T) {
	neighbour := slices.Clone(link2(t))
	neighbour[4] = unix.RTM_NEWNEIGH
	for _, tc := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"nothing", nil, false},
		{"neighbour", neighbour, false},
		{"neighbour, then address", slices.Concat(neighbour, addr2(t, "00000000")), true},
		{"cut short", neighbour[:20], true},
	} {
		if got := relevant(tc.b); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func FuzzSnapshot(f *testing.F) {
	f.Add(slices.Concat(link2(f), addr2(f, "80000000"), route(f), done(f)))
	f.Add(addr2(f, "40000000")[:40])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		original := slices.Clone(b)
		s := &snapshot{live: map[uint32]bool{}}
		_, err := s.add(b)
		if errors.Is(err, errMalformed) && len(b) > 0 && len(b) < unix.SizeofNlMsghdr && !relevant(b) {
			t.Error("a datagram that cannot be read does not count as a change")
		}
		if n := len(s.state()); n > len(b)/unix.SizeofNlMsghdr {
			t.Errorf("%d lines out of %d bytes", n, len(b))
		}
		if !bytes.Equal(b, original) {
			t.Error("the datagram was changed")
		}
	})
}
