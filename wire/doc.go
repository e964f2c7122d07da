// Package wire turns the dispatch layer's heads, ids and status codes and the
// socket layer's control frames into bytes and back. It starts no goroutine,
// reads no clock and keeps no state but what a [Registry] is given.
//
// # The head
//
// A block of the dispatch layer is a [Header] and a payload, together one
// message of type parley.v1.Envelope. The codec is written by hand, so that it
// allocates nothing, and accepts exactly one encoding of each head: fields in
// ascending order, each at most once, in its shortest form, none with the value
// zero, the payload last. What [Header.Parse] accepts, [Header.Append] writes
// again, byte for byte; and it is what a deterministic protobuf encoder writes
// (D1).
//
// Every field and flag is part of what the two peers agreed on. A field or flag
// bit that this version does not know is refused, not skipped: it may change
// what the block means (as [FlagError] does), and a block that means less to its
// receiver than to its sender is worse than none. A later version adds a field
// by defining a capability, and writes it only towards a peer whose Hello named
// that capability.
//
// # Control frames
//
// Frames of the control stream are ordinary protobuf, read with the generated
// code and then checked ([ReadControl], [AppendControl]). Here unknown fields
// are ignored, because Hello must be readable before anything is agreed on;
// unknown kinds of frame are refused.
//
// # Errors
//
// Bytes that no peer should have sent give a [*SyntaxError]. Bytes that end too
// early, and might become right with more, give [ErrTruncated], or from a reader
// [io.ErrUnexpectedEOF]. A value that we ourselves cannot put on the wire gives a
// [*ValueError].
package wire
