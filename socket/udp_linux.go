package socket

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

var reusePort = func(_, _ string, c syscall.RawConn) error {
	return control(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
}

func control(c syscall.RawConn, f func(fd int) error) error {
	var err error
	if e := c.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

var bufferOptions = map[string]struct{ get, force int }{
	"receive": {unix.SO_RCVBUF, unix.SO_RCVBUFFORCE},
	"send":    {unix.SO_SNDBUF, unix.SO_SNDBUFFORCE},
}

// bufferSize is the size usable for data: the kernel reports double (socket(7)).
func bufferSize(c *net.UDPConn, kind string) (int, bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	n := 0
	err = control(raw, func(fd int) (err error) {
		n, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, bufferOptions[kind].get)
		return err
	})
	return n / 2, err == nil
}

// forceBuffer exceeds the system's limit, which CAP_NET_ADMIN may.
func forceBuffer(c *net.UDPConn, kind string, n int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = control(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, bufferOptions[kind].force, n) })
}
