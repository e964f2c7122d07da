package router

// Overhead is what a message costs in bytes besides its payload. Both ends count
// it. It keeps empty messages from being free: a queued message occupies memory
// however short its payload is.
const Overhead = 64

// maxCredit is the largest offset that a grant is taken for: beyond any real
// conversation, and safe to add a message's cost to.
const maxCredit = 1 << 62

// Cost returns what a message with a payload of n bytes costs.
func Cost(n int) uint64 { return uint64(n) + Overhead }

// inbound counts one conversation's bytes from the peer, as absolute offsets:
// consumed <= received, consumed <= granted.
type inbound struct {
	received, consumed, granted uint64
}

// accept counts a message of the given cost and reports whether the peer was
// allowed to send it.
func (c *inbound) accept(cost, window uint64) bool {
	// received passes granted when a message larger than the window came.
	open := uint64(0)
	if c.granted > c.received {
		open = c.granted - c.received
	}
	c.received += cost
	return open >= min(cost, window/2)
}

// consume counts a message as done with. It returns the offset to grant, or 0
// if less than half the window would be won.
func (c *inbound) consume(cost, window uint64) uint64 {
	c.consumed += cost
	if c.consumed+window-c.granted < window/2 {
		return 0
	}
	c.granted = c.consumed + window
	return c.granted
}

// outbound counts one conversation's bytes to the peer.
type outbound struct {
	sent, limit uint64
}

// take counts a message of the given cost if it may be sent now.
func (c *outbound) take(cost, window uint64) bool {
	open := uint64(0)
	if c.limit > c.sent {
		open = c.limit - c.sent
	}
	if open < min(cost, window/2) {
		return false
	}
	c.sent += cost
	return true
}

// raise takes a grant and reports whether it gave anything. Grants are absolute,
// so an old or repeated one changes nothing (T12).
func (c *outbound) raise(credit uint64) bool {
	credit = min(credit, maxCredit)
	if credit <= c.limit {
		return false
	}
	c.limit = credit
	return true
}
