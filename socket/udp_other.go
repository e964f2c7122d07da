//go:build !linux

package socket

import (
	"net"
	"syscall"
)

var reusePort func(network, address string, c syscall.RawConn) error

var enableGRO func(*udpConn) net.PacketConn

func bufferSize(*net.UDPConn, string) (int, bool) { return 0, false }

func forceBuffer(*net.UDPConn, string, int) {}
