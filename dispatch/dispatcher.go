package dispatch

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"

	"parley/actor"
	"parley/dispatch/internal/router"
	"parley/peer"
	"parley/wire"
)

var (
	errClosed    = errors.New("the dispatcher is closed")
	errNoSession = errors.New("no session with that peer")
)

// Dispatcher hands each block that a transport delivers to the handler or
// conversation it belongs to, and sends theirs. Make one with [New]. All its
// methods, and the functions that take one, may be called concurrently.
type Dispatcher struct {
	transport Transport
	local     peer.ID
	config    Config
	system    *actor.System
	kinds     kinds
	handlers  handlers
	calls     sync.Pool

	dropped [router.NumReasons]atomic.Uint64
	panics  atomic.Uint64
	left    atomic.Uint64 // bytes that outlast sessions, see session.leave

	ctx     context.Context // of conversations: ends when Close is called
	end     context.CancelCauseFunc
	closing chan struct{}  // closed when Close is called
	work    sync.WaitGroup // goroutines that drain outboxes

	mu       sync.RWMutex
	sessions map[sessionKey]*session
	current  map[peer.ID]*session // the newest of each peer
	closed   bool
}

type sessionKey struct {
	peer peer.ID
	id   uint64
}

// New makes a Dispatcher and attaches it to t. What comes before its handler is
// registered is answered with Unimplemented: register in Config.Register, or before
// t begins to carry traffic.
func New(t Transport, c Config) (*Dispatcher, error) {
	if t == nil {
		return nil, errors.New("dispatch: no transport")
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Dispatcher{
		transport: t,
		calls:     sync.Pool{New: newCall},
		local:     t.LocalID(),
		config:    c,
		closing:   make(chan struct{}),
		sessions:  make(map[sessionKey]*session),
		current:   make(map[peer.ID]*session),
	}
	d.ctx, d.end = context.WithCancelCause(context.Background())
	d.system = actor.NewSystem(actor.Config{Name: d.local.String(), Logger: c.Logger})
	if c.Register != nil {
		if err := c.Register(d); err != nil {
			return nil, errors.Join(err, d.Close(context.Background()))
		}
	}
	t.Attach(d.up, d.block, d.down)
	return d, nil
}

// LocalID returns this side's peer.
func (d *Dispatcher) LocalID() peer.ID { return d.local }

func (d *Dispatcher) up(p peer.ID, id, remote uint64) {
	s := newSession(d, p, id, remote)
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		s.cancel(errClosed)
		return
	}
	d.sessions[sessionKey{p, id}] = s
	d.current[p] = s
	d.mu.Unlock()
}

func (d *Dispatcher) block(p peer.ID, id uint64, block []byte) {
	d.mu.RLock()
	s := d.sessions[sessionKey{p, id}]
	d.mu.RUnlock()
	if s == nil {
		d.drop(router.SessionGone)
		return
	}
	s.arrive(block)
}

func (d *Dispatcher) down(p peer.ID, id uint64, cause error) {
	d.mu.Lock()
	s := d.sessions[sessionKey{p, id}]
	delete(d.sessions, sessionKey{p, id})
	if d.current[p] == s {
		delete(d.current, p)
	}
	d.mu.Unlock()
	if s != nil {
		s.down(cause)
	}
}

// session returns the current session with p.
func (d *Dispatcher) session(op string, p peer.ID) (*session, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil, unavailable(op, p, errClosed)
	}
	if s := d.current[p]; s != nil {
		return s, nil
	}
	switch p {
	case peer.ID{}:
		return nil, &Error{Code: wire.InvalidArgument, Op: op, Err: errNoPeer}
	case d.local:
		return nil, &Error{Code: wire.InvalidArgument, Op: op, Peer: p, Err: errSelf}
	}
	return nil, unavailable(op, p, errNoSession)
}

func (d *Dispatcher) drop(r router.Reason) { d.dropped[r].Add(1) }

// Close ends all conversations with Unavailable, cancels the handlers that run,
// fails the Asks that wait, refuses new ones, and returns when everything has
// ended and the peers have been told as far as the transport took it. If ctx ends
// first its error is returned, nothing more is sent, the rest goes on ending, and
// Close may be called again to wait for it. It does not close the transport: close
// that afterwards, a socket.Host with Shutdown, which delivers what Close has handed
// to it. What peers have sent to conversations and is not handled yet is discarded,
// with an error for OnEnd. Close must not be called by a handler or a conversation.
func (d *Dispatcher) Close(ctx context.Context) error {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.closing)
	}
	all := make([]*session, 0, len(d.sessions))
	for _, s := range d.sessions {
		all = append(all, s)
	}
	d.mu.Unlock()
	d.end(errClosed)
	for _, s := range all {
		s.cancel(errClosed)
	}
	err := d.system.Close(ctx)
	for _, s := range all {
		s.shut()
	}
	sent := make(chan struct{})
	go func() {
		d.work.Wait()
		close(sent)
	}()
	select {
	case <-sent:
	case <-ctx.Done():
		if err == nil {
			err = ctx.Err()
		}
	}
	for _, s := range all {
		s.down(errClosed)
	}
	<-sent // the outboxes' context has ended
	return err
}

// Stats is a snapshot of a Dispatcher.
type Stats struct {
	Sessions      int
	Conversations int    // live ones, of both sides, those included that are ending
	Requests      int    // of peers, queued or running
	Pending       int    // messages of this side that wait for a reply
	Early         int    // blocks held that overtook their begin
	QueuedBytes   uint64 // cost of the messages that wait in conversations
	Panics        uint64 // in request handlers; those of conversations included

	// Dropped counts the blocks that reached no handler, by reason. Those of
	// requests are answered with a status, see the package documentation.
	Dropped map[string]uint64
}

// Stats returns a snapshot.
func (d *Dispatcher) Stats() Stats {
	st := Stats{Dropped: make(map[string]uint64), Panics: d.panics.Load() + d.system.Stats().Panics}
	for r := router.Reason(1); r < router.NumReasons; r++ {
		if n := d.dropped[r].Load(); n > 0 {
			st.Dropped[r.String()] = n
		}
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	st.Sessions = len(d.sessions)
	for _, s := range d.sessions {
		z := s.sizes()
		st.Conversations += z.Conversations
		st.Requests += z.Requests
		st.Pending += z.Asks
		st.Early += z.Early
		st.QueuedBytes += z.QueuedBytes
	}
	return st
}

// handlers finds who handles a message that begins something.
type handlers struct {
	mu    sync.Mutex // of writers
	table atomic.Pointer[handlerTable]
}

type handlerKey struct {
	service uint32
	number  wire.Type
}

type handlerTable struct {
	byKey    map[handlerKey]*handler
	services map[uint32]struct{}
}

// Class implements router.Table.
func (hs *handlers) Class(service uint32, t wire.Type) (router.Class, bool) {
	table := hs.table.Load()
	if table == nil {
		return router.Unregistered, service == 0
	}
	if h := table.byKey[handlerKey{service, t}]; h != nil {
		return h.class, true
	}
	_, known := table.services[service]
	return router.Unregistered, known || service == 0
}

func (hs *handlers) find(service uint32, t wire.Type) *handler {
	return hs.table.Load().byKey[handlerKey{service, t}]
}

// add registers h; it copies the table, so that finding needs no lock.
func (hs *handlers) add(service uint32, h *handler) error {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	old, fresh := hs.table.Load(), &handlerTable{make(map[handlerKey]*handler), make(map[uint32]struct{})}
	if old != nil {
		maps.Copy(fresh.byKey, old.byKey)
		maps.Copy(fresh.services, old.services)
	}
	key := handlerKey{service, h.kind.number}
	if fresh.byKey[key] != nil {
		return &RegistrationError{Name: h.kind.name, Service: service}
	}
	fresh.byKey[key] = h
	if service != 0 {
		fresh.services[service] = struct{}{}
	}
	hs.table.Store(fresh)
	return nil
}
