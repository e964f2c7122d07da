package socket

import (
	"sync"

	"github.com/quic-go/quic-go"
)

// maxWindowGrowth bounds, for all connections of a host together, how many bytes beyond connectionWindow
// each may be in flight to us or unread (threat T14). A connection that gets no more is slower, not cut.
const maxWindowGrowth = 256 << 20

// windows shares maxWindowGrowth out among connections.
type windows struct {
	mu   sync.Mutex
	left uint64
	by   map[*quic.Conn]uint64 // how much each has taken
}

func newWindows() *windows { return &windows{left: maxWindowGrowth, by: map[*quic.Conn]uint64{}} }

func (w *windows) add(c *quic.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.by[c] = 0
}

func (w *windows) remove(c *quic.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left += w.by[c]
	delete(w.by, c)
}

// grow decides for quic-go whether a connection's window may grow by delta bytes. It must not call the
// connection.
func (w *windows) grow(c *quic.Conn, delta uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken, ok := w.by[c]
	if !ok || delta > w.left {
		return false
	}
	w.left -= delta
	w.by[c] = taken + delta
	return true
}
