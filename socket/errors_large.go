package socket

// TooLarge reports whether a block was above a limit, in which case nothing of it was handed to the
// peer: package dispatch asks, without importing this one.
func (e *Error) TooLarge() bool { return e.Code == TooLarge }

// TooLarge reports whether the peer refused a block as above its limit; it has not taken it.
func (e *PeerError) TooLarge() bool { return e.Code == TooLarge }
