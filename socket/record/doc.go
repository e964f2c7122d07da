// Package record keeps the boundaries of whole messages on a byte stream (B6),
// such as a socket.Stream, or any io.Reader and io.Writer.
//
// A record is any number of bytes. It travels as one chunk, or, if its size was
// not known when it began, as several:
//
//	chunk = head, length bytes
//	head  = varint, shortest form: 2 × length + (1 if the record goes on after this chunk)
//
// A chunk after which the record goes on is not empty. The rules are RC1 to RC6
// of docs/protocol.md; byte-exact vectors are under testdata.
//
// A [Writer] writes a record of up to 16 KiB in one call, head and body together.
// A [Reader] reads records whole, up to a limit, or bit by bit without one. Neither
// starts goroutines, and memory follows the bytes that arrive, not the lengths
// that are announced.
//
// A record that was begun can only be finished: a program that cannot finish one
// resets the stream.
package record
