package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"parley/peer"
	"parley/wire"
)

// Stream is a byte stream to a peer (B4): a net.Conn with half-close and reset. It belongs to the session
// and not to a connection: when the connection is lost, reads and writes go on in the next one, with no byte
// lost or doubled (C9). It ends with its session, or with its parent if it has one. All methods may be called
// concurrently.
type Stream struct{ *flow }

var _ net.Conn = (*Stream)(nil)

// Priority orders streams to one peer among each other (B8). Control traffic and small blocks go ahead of
// them all.
type Priority uint8

// The priorities. A stream begins as PriorityNormal.
const (
	PriorityNormal      Priority = iota
	PriorityInteractive          // ahead of the others: somebody waits for it
	PriorityBackground           // behind the others, together with large blocks
)

func (p Priority) carrier() priority {
	switch p {
	case PriorityInteractive:
		return priorityInteractive
	case PriorityBackground:
		return priorityBulk
	}
	return priorityStream
}

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

// OpenStream opens a stream; no round trip is needed and the first bytes may be written at once, also while
// the session has no connection that works. It blocks only while Config.MaxStreams streams of ours are open,
// until ctx ends.
func (s *Session) OpenStream(ctx context.Context) (*Stream, error) {
	if err := s.usable("open stream"); err != nil {
		return nil, err
	}
	return s.streams.openStream(ctx, "", "")
}

// AcceptStream returns the next stream that the peer opened. Up to 128 wait; further ones are refused. A
// host that takes streams from anybody learns of sessions by Observe, which starts before any peer can
// connect if it is called before the address is given away, and by Sessions.
func (s *Session) AcceptStream(ctx context.Context) (*Stream, error) {
	select {
	case x := <-s.incoming:
		x.take()
		return x, nil
	default:
	}
	select {
	case x := <-s.incoming:
		x.take()
		return x, nil
	case <-ctx.Done():
		return nil, ctxError(ctx, "accept stream", s.peer)
	case <-s.life.Done():
		return nil, s.fail("accept stream")
	}
}

// newStream makes a stream that has yet to be numbered.
func (t *streams) newStream() *Stream {
	f := &flow{t: t, head: wire.Preamble{Kind: wire.StreamBytes}, priority: priorityStream, taken: true}
	f.out.limit = t.buffer
	f.owner = &Stream{flow: f}
	return f.owner
}

// openStream opens a stream to a service, or to whoever accepts streams if both names are empty.
func (t *streams) openStream(ctx context.Context, service, protocol string) (*Stream, error) {
	x := t.newStream()
	x.head.Service, x.head.Protocol = service, protocol
	if err := t.create(ctx, "open stream", x.flow); err != nil {
		return nil, err
	}
	return x, nil
}

// take says that the application, or a service, has the stream: the peer is told.
func (x *Stream) take() {
	x.mu.Lock()
	news := !x.taken
	x.taken = true
	x.mu.Unlock()
	if news {
		x.t.mark(x.flow)
		x.t.env.ackNow()
	}
}

// awaitTaken waits until the peer's application has taken a stream of ours, which may have ended it since. The
// error is that of the refusal, of the session's end, of our own reset, or of ctx.
func (x *Stream) awaitTaken(ctx context.Context, op string) error {
	for {
		x.mu.Lock()
		refusal, over, heard, changed := x.out.refusal, x.out.reset != 0 || x.left, x.heard, x.hearing.wait()
		x.mu.Unlock()
		if said, ok := errors.AsType[*PeerError](refusal); ok && declines(said.Code) {
			return &PeerError{Code: said.Code, Op: op, Peer: x.t.peer, reset: true}
		}
		switch {
		case heard:
			return nil
		case over:
			return x.t.env.fail(op)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctxError(ctx, op, x.t.peer)
		}
	}
}

// declines reports whether a peer that stops reading a stream for this reason has never taken it.
func declines(c Code) bool { return c == Refused || c == NotFound || c == Limit }

// Session is the session the stream belongs to.
func (x *Stream) Session() *Session { return x.t.session }

// LocalAddr is our key, an Addr.
func (x *Stream) LocalAddr() net.Addr { return Addr{x.t.self} }

// RemoteAddr is the peer's key, an Addr.
func (x *Stream) RemoteAddr() net.Addr { return Addr{x.t.peer} }

// Read returns io.EOF after the peer's CloseWrite, a *ResetError after its Reset, Closed after our Close and
// a *PeerError with the reason if the peer refused the stream. While the session is between connections it
// waits, for as long as the read deadline allows.
func (x *Stream) Read(p []byte) (int, error) { return x.read(p) }

// Write copies p and blocks only while the bytes that the peer's application has not read fill the write
// buffer (SetWriteBuffer): until there is room, or a deadline, or the end of the stream. A nil error means
// that the bytes are kept until they have arrived, not that they have: see WaitAcknowledged.
func (x *Stream) Write(p []byte) (int, error) { return x.write(p) }

// CloseWrite ends our direction: the peer reads io.EOF after everything written before (half-close). A
// blocked Write returns. The error is always nil.
func (x *Stream) CloseWrite() error {
	x.finish()
	return nil
}

// Close ends both directions, and the children. What was written before is still delivered, unless the peer
// has itself closed the stream; what the peer sends from now on is dropped. Blocked reads and writes return.
// The error is always nil.
func (x *Stream) Close() error {
	x.finish()
	x.mu.Lock()
	news := x.stopReading(resetCanceled)
	x.mu.Unlock()
	x.t.ended(x.flow, news)
	return nil
}

// Reset ends both directions at once, and the children; the peer's reads and writes fail with a *ResetError
// that has this code. What was not yet delivered is dropped. Codes above 2^32-258 arrive as that.
func (x *Stream) Reset(code uint32) { x.giveUp(resetUser + resetCode(code)) }

// Abandon is Reset, but hands back what was written and not acknowledged (B9): its bytes, of which the peer
// may have read some, and the offset of the first. After a Reset or a Close by the peer, or the end of the
// session, it returns what had not been acknowledged by then; a second time, or after Reset, it returns no
// bytes. The caller owns them.
func (x *Stream) Abandon(code uint32) (undelivered []byte, offset uint64) {
	x.mu.Lock()
	undelivered, offset = x.out.kept()
	news := x.abort(resetUser + resetCode(code))
	x.mu.Unlock()
	x.t.ended(x.flow, news)
	return undelivered, offset
}

// Written is how many bytes Write has taken so far.
func (x *Stream) Written() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.out.end
}

// Acknowledged is how many of the bytes written the peer's application is known to have read (B9). It
// learns of them within 25 ms and a round trip.
func (x *Stream) Acknowledged() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.out.acked
}

// WaitAcknowledged waits until the peer's application is known to have read the first offset bytes (B9),
// until ctx ends. The error says why it will never be: as from Write, or Closed if no more than fewer bytes
// were written before CloseWrite, or after Reset.
func (x *Stream) WaitAcknowledged(ctx context.Context, offset uint64) error {
	for {
		x.mu.Lock()
		o := &x.out
		changed := o.changed.wait()
		reached := o.acked >= offset
		var err error
		switch {
		case o.refusal != nil:
			err = o.refusal
		case o.over, o.reset != 0, o.finished && offset > o.end:
			err = o.err
		}
		x.mu.Unlock()
		if reached || err != nil {
			if reached {
				return nil
			}
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctxError(ctx, "wait", x.t.peer)
		}
	}
}

// Blocked reports whether Write would block now (B9): the write buffer is full.
func (x *Stream) Blocked() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.out.err == nil && x.room() <= 0
}

// WaitWritable waits until n bytes, at most the size of the write buffer, can be written without blocking
// (B9), until ctx ends. The error is that of Write if our direction is over.
func (x *Stream) WaitWritable(ctx context.Context, n int) error {
	for {
		x.mu.Lock()
		changed, err, ready := x.out.changed.wait(), x.out.err, x.room() >= min(n, x.out.limit)
		x.mu.Unlock()
		if ready || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctxError(ctx, "wait", x.t.peer)
		}
	}
}

// SetWriteBuffer sets how many bytes are kept until the peer's application has read them (B11): with more
// Write blocks. It bounds the stream's memory and, for each round trip, what it can carry. Zero or less is
// Config.StreamBuffer. What is kept already stays.
func (x *Stream) SetWriteBuffer(n int) {
	if n <= 0 {
		n = x.t.buffer
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.out.limit = n
	x.out.changed.fire()
}

// SetPriority sets the priority of what we write from now on (B8), also of what waits already.
func (x *Stream) SetPriority(p Priority) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.priority = p.carrier()
	if a := x.at; a != nil && a.st != nil {
		a.st.setPriority(x.priority)
	}
}

// SetDeadline sets both deadlines; like them it also applies to calls that are blocked. The zero time is
// none.
func (x *Stream) SetDeadline(t time.Time) error {
	return errors.Join(x.SetReadDeadline(t), x.SetWriteDeadline(t))
}

// SetReadDeadline makes Read fail with Timeout (os.ErrDeadlineExceeded) after t. The error is always nil.
func (x *Stream) SetReadDeadline(t time.Time) error {
	x.setReadDeadline(t)
	return nil
}

// SetWriteDeadline makes Write fail with Timeout (os.ErrDeadlineExceeded) after t; the bytes that it says
// were written are on their way. The error is always nil.
func (x *Stream) SetWriteDeadline(t time.Time) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.writeBy.set(t)
	x.out.changed.fire()
	return nil
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
