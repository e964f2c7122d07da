package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"parley/peer"
	"parley/wire"
)

// Stream is a byte stream to a peer (B4): a net.Conn with half-close and reset. Reads and writes may go
// on concurrently, as net.Conn demands. It ends with its session.
type Stream struct {
	session  *Session
	link     *link
	st       stream
	complete func()

	writing sync.Mutex // one writer at a time

	mu               sync.Mutex
	readEnd          error // what Read returns from now on
	writeEnd         error // what Write returns from now on
	readOver, wrOver bool  // that direction is complete
}

var _ net.Conn = (*Stream)(nil)

// ResetError is what the peer said by Stream.Reset. It matches Closed.
type ResetError struct {
	Code uint32 // the peer application's
	Peer peer.ID
}

func (e *ResetError) Error() string {
	return fmt.Sprintf("parley: stream %s: peer says: reset with code %d", e.Peer.Short(), e.Code)
}

// Is reports whether target is Closed or net.ErrClosed.
func (e *ResetError) Is(target error) bool { return is(Closed, target) }

// Addr is the net.Addr of an end of a Stream: a key. The address in the network's sense may change under
// a stream and is not part of it.
type Addr struct{ ID peer.ID }

// Network returns "parley".
func (Addr) Network() string { return "parley" }

// String is the key's text form.
func (a Addr) String() string { return a.ID.String() }

// OpenStream opens a stream; no round trip is needed and the first bytes may be written at once. It
// blocks only while the peer's limit on open streams is reached, until ctx ends.
func (s *Session) OpenStream(ctx context.Context) (*Stream, error) {
	if err := s.usable("open stream"); err != nil {
		return nil, err
	}
	on, st, err := s.openStream(ctx, priorityStream, wire.Preamble{Kind: wire.StreamBytes, Stream: s.numbers.Add(1)})
	if err != nil {
		return nil, err
	}
	return &Stream{session: s, link: on, st: st, complete: on.complete}, nil
}

// AcceptStream returns the next stream that the peer opened. Up to 128 wait; further ones are refused. A
// host that takes streams from anybody learns of sessions by Observe, which starts before any peer can
// connect if it is called before the address is given away, and by Sessions.
func (s *Session) AcceptStream(ctx context.Context) (*Stream, error) {
	select {
	case st := <-s.incoming:
		return st, nil
	default:
	}
	select {
	case st := <-s.incoming:
		return st, nil
	case <-ctx.Done():
		return nil, ctxError(ctx, "accept stream", s.peer)
	case <-s.life.Done():
		return nil, s.fail("accept stream")
	}
}

func (n *link) receiveBytes(st stream) {
	x := &Stream{session: n.session, link: n, st: st, complete: n.completeIncoming}
	select {
	case n.session.incoming <- x:
	default:
		n.refuse(st, resetRefused)
	}
}

// Session is the session the stream belongs to.
func (x *Stream) Session() *Session { return x.session }

// LocalAddr is our key, an Addr.
func (x *Stream) LocalAddr() net.Addr { return Addr{x.session.host.id} }

// RemoteAddr is the peer's key, an Addr.
func (x *Stream) RemoteAddr() net.Addr { return Addr{x.session.peer} }

// Read returns io.EOF after the peer's CloseWrite, a *ResetError after its Reset, Closed after our Close.
func (x *Stream) Read(p []byte) (int, error) {
	if err := x.end(&x.readEnd); err != nil {
		return 0, err
	}
	n, err := x.st.Read(p)
	if err == nil || isTimeout(err) && x.end(&x.readEnd) == nil && x.session.Err() == nil {
		return n, err
	}
	if ended := x.end(&x.readEnd); ended != nil {
		return n, ended
	}
	x.finish(&x.readEnd, &x.readOver, err)
	return n, err
}

// Write blocks while the peer's window is full: some 512 KiB at first, growing to 6 MiB as its reader
// keeps up. Only a deadline bounds that, or the end of the session. A nil error means that the bytes are
// on their way, not that they have arrived.
func (x *Stream) Write(p []byte) (int, error) {
	x.writing.Lock()
	defer x.writing.Unlock()
	if err := x.end(&x.writeEnd); err != nil {
		return 0, err
	}
	n, err := x.st.Write(p)
	if err == nil || isTimeout(err) && x.end(&x.writeEnd) == nil && x.session.Err() == nil {
		return n, err
	}
	if ended := x.end(&x.writeEnd); ended != nil {
		return n, ended
	}
	x.finish(&x.writeEnd, &x.wrOver, err)
	return n, err
}

// CloseWrite ends our direction: the peer reads io.EOF after everything written before (half-close).
func (x *Stream) CloseWrite() error {
	x.mu.Lock()
	over := x.writeEnd != nil
	if !over {
		x.writeEnd = &Error{Code: Closed, Op: "write", Peer: x.session.peer}
	}
	x.mu.Unlock()
	if over {
		return nil
	}
	_ = x.st.setWriteDeadline(time.Unix(1, 0)) // a blocked Write gives up; what it has written stays
	x.writing.Lock()
	defer x.writing.Unlock()
	err := x.st.closeWrite()
	x.finish(&x.writeEnd, &x.wrOver, nil)
	return err
}

// Close ends both directions. What was written before is still delivered, unless the peer has itself
// closed the stream; what the peer sends from now on is dropped. Blocked reads and writes return.
func (x *Stream) Close() error {
	err := x.CloseWrite()
	x.cancelRead(resetCanceled)
	if errors.Is(err, Closed) {
		return nil
	}
	return err
}

// Reset ends both directions at once; the peer's reads and writes fail with a *ResetError that has this
// code. What was not yet delivered is dropped.
func (x *Stream) Reset(code uint32) {
	x.mu.Lock()
	if x.writeEnd == nil {
		x.writeEnd = &Error{Code: Closed, Op: "write", Peer: x.session.peer}
	}
	x.mu.Unlock()
	x.st.cancelWrite(resetUser + resetCode(code))
	x.finish(&x.writeEnd, &x.wrOver, nil)
	x.cancelRead(resetUser + resetCode(code))
}

func (x *Stream) cancelRead(code resetCode) {
	x.mu.Lock()
	over := x.readOver
	if x.readEnd == nil {
		x.readEnd = &Error{Code: Closed, Op: "read", Peer: x.session.peer}
	}
	x.mu.Unlock()
	if !over {
		x.st.cancelRead(code)
		x.finish(&x.readEnd, &x.readOver, nil)
	}
}

// end returns what a direction ended with, nil if it has not.
func (x *Stream) end(which *error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return *which
}

// finish marks a direction complete, once; with the second one the stream is.
func (x *Stream) finish(end *error, over *bool, err error) {
	x.mu.Lock()
	if *end == nil {
		*end = err
	}
	first := !*over
	*over = true
	both := x.readOver && x.wrOver
	x.mu.Unlock()
	if first && both {
		x.complete()
	}
}

// SetDeadline sets both deadlines; like them it also applies to calls that are blocked. The zero time is
// none.
func (x *Stream) SetDeadline(t time.Time) error {
	return errors.Join(x.SetReadDeadline(t), x.SetWriteDeadline(t))
}

// SetReadDeadline makes Read fail with Timeout (os.ErrDeadlineExceeded) after t.
func (x *Stream) SetReadDeadline(t time.Time) error { return x.st.setReadDeadline(t) }

// SetWriteDeadline makes Write fail with Timeout (os.ErrDeadlineExceeded) after t; some of its bytes may
// be on their way.
func (x *Stream) SetWriteDeadline(t time.Time) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.writeEnd != nil { // CloseWrite needs its own
		return nil
	}
	return x.st.setWriteDeadline(t)
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF)
}
