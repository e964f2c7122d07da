package socket

import "parley/peer"

// Links is how many connections the session with id has.
func (h *Host) Links(id peer.ID) int {
	h.mu.Lock()
	s := h.sessions[id]
	h.mu.Unlock()
	if s == nil {
		return 0
	}
	reply := make(chan int, 1)
	s.post(event{kind: evCount, count: reply})
	return <-reply
}
