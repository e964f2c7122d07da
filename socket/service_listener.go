package socket

import (
	"context"
	"net"
	"slices"
	"sync"

	"parley/peer"
)

// Listener takes the streams that peers open to one service (B10). It is a net.Listener: what serves
// connections, such as an http.Server, can serve it. All methods may be called concurrently.
type Listener struct {
	host    *Host
	service Service
	rules   ServiceRules

	mu      sync.Mutex
	queue   []*Stream
	closed  bool
	changed signal
}

var _ net.Listener = (*Listener)(nil)

// Service is what the listener was made for.
func (l *Listener) Service() Service { return l.service }

// Addr is our key, an Addr.
func (l *Listener) Addr() net.Addr { return Addr{l.host.id} }

// Accept is AcceptStream without end; what it returns is a *Stream.
func (l *Listener) Accept() (net.Conn, error) {
	x, err := l.AcceptStream(context.Background())
	if err != nil {
		return nil, err // not a nil *Stream in an interface
	}
	return x, nil
}

// AcceptStream returns the next stream that a peer opened to the service, and tells the peer that it is taken.
// Up to 128 wait, of one peer up to 32; further ones are refused, and their openers are told Limit. Streams
// whose openers have given up meanwhile are left out. The error has the code Closed once the listener or the
// host is closed, or that of ctx.
func (l *Listener) AcceptStream(ctx context.Context) (*Stream, error) {
	for {
		l.mu.Lock()
		x, closed, changed := l.next(), l.closed, l.changed.wait()
		l.mu.Unlock()
		switch {
		case x != nil:
			x.take()
			return x, nil
		case closed:
			return nil, &Error{Code: Closed, Op: "accept " + l.service.String()}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctxError(ctx, "accept "+l.service.String(), peer.ID{})
		case <-l.host.life.Done():
			_ = l.Close()
		}
	}
}

// Close ends the offer and refuses the streams that wait: their openers are told Refused. Streams that were
// accepted go on. The error is always nil.
func (l *Listener) Close() error {
	l.host.services.withdraw(l)
	l.mu.Lock()
	waiting := l.queue
	l.queue, l.closed = nil, true
	l.changed.fire()
	l.mu.Unlock()
	for _, x := range waiting {
		x.giveUp(resetRefused)
	}
	return nil
}

func (l *Listener) admits(id peer.ID) bool { return l.rules.Admit == nil || l.rules.Admit(id) == nil }

// offer queues a stream of a peer's.
func (l *Listener) offer(x *Stream) (refusal resetCode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return resetNotFound
	}
	if len(l.queue) >= maxServiceShare { // whose openers have given up take nobody's place
		l.queue = slices.DeleteFunc(l.queue, (*Stream).gone)
	}
	share := 0
	for _, y := range l.queue {
		if y.t == x.t {
			share++
		}
	}
	if share >= maxServiceShare || len(l.queue) >= maxServiceQueue {
		return resetLimit
	}
	l.queue = append(l.queue, x)
	l.changed.fire()
	return 0
}

// next takes the first stream that waits, nil if there is none. l.mu is held.
func (l *Listener) next() (x *Stream) {
	for x == nil && len(l.queue) > 0 {
		if !l.queue[0].gone() {
			x = l.queue[0]
		}
		l.queue[0] = nil
		l.queue = l.queue[1:]
	}
	return x
}

// gone reports whether nothing can be read from a stream that nobody has read from yet: the peer has reset it,
// or the session is over.
func (x *Stream) gone() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.in.done || x.left
}
