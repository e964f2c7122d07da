// Package router decides where each block of one session goes. It is pure: events
// go in as calls, effects come out as values, and the caller supplies the time.
// There is no goroutine, clock or lock inside, so what a router does can be read
// as a transcript (testdata/) and replayed.
//
// A [Router] belongs to one session with one peer, so every table it holds is
// scoped by counterparty to begin with (D6): nothing a peer sends can name
// another peer's conversation.
//
// # Numbers
//
// Each side numbers its messages from 1 within the session. A conversation is
// named by the side that began it and the number of the message that did (D5), so
// both sides may use the same number.
//
// Numbers need not arrive in rising order: lanes are independent, and a block too
// large for a lane travels on a stream of its own. A begin is therefore not
// refused for being lower than the last, only for repeating the number of a live
// request or conversation or of a recent one (see [Limits].Recent). The transport
// delivers each block at most once, so a number can come again only from a peer
// that is at fault, and then it confuses that peer's tables alone.
//
// # Life of a conversation
//
//	          Open, Begin                    End (ours), an end or a message with
//	(none) ---------------> open ----------> FlagLast (theirs), a violation
//	                                              |
//	                                              v        Gone
//	                                            ended -----------> (recent)
//
// open: messages of both sides pass, within their credit. ended: whatever comes
// is dropped in silence, because it crossed the end; the slot still counts
// against the limits, because queued messages and the end block may still be on
// their way. recent: the number alone is remembered for a while, with the same
// silence.
//
// # Credit
//
// A message costs its payload's length plus [Overhead]. The receiver lets the
// sender have [Limits].Window bytes from the start and grants more, as absolute
// offsets, whenever half the window has been consumed. A message may be sent when
// the open part of the window is at least the smaller of its cost and half the
// window: so even a message larger than the window passes, alone, and a receiver
// never holds more than a window and one message. Grants and ends are free.
package router
