package actor

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	engine "github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
)

// Config configures a System. Its zero value is usable.
type Config struct {
	// Name is the address under which the System's processes are known, such
	// as the text of the host's peer id. Empty means a name that is only valid
	// locally.
	Name string
	// Logger is told of panics, with their stack. Nil discards.
	Logger *slog.Logger
	// Pool runs the turns; several Systems may share one. Nil means one of the
	// System's own with default settings, which Close closes.
	Pool *Pool
	// Dropped, if not nil, is handed every message that will not be handled
	// because its process has ended: those told too late, in the teller's
	// goroutine, and those waiting when the process was stopped, in its turn.
	// Messages refused with ErrMailboxFull, Terminated messages and messages
	// of timers are not handed over. It is called concurrently, must not block,
	// and a panic in it is logged and changes nothing.
	Dropped func(to *Ref, msg any)
}

// System is a set of processes that are closed together. Making one takes
// about 3 ms and 3 MB: have one per host. All methods may be called
// concurrently.
type System struct {
	log     *slog.Logger
	dropped func(*Ref, any)
	pool    *Pool
	ownPool bool
	engine  *engine.ActorSystem

	mu      sync.RWMutex // a spawn holds it shared; closing holds it alone
	closing bool

	live     atomic.Int64
	allEnded chan struct{} // closed when closing and live is zero
	endOnce  sync.Once

	drops, refusals, panics, restarts atomic.Uint64
}

// Stats is a snapshot of a System.
type Stats struct {
	Live     int64  // processes that have not ended
	Dropped  uint64 // messages for ended processes, see Config.Dropped
	Refused  uint64 // messages refused with ErrMailboxFull
	Panics   uint64 // panics and Goexits in code of processes
	Restarts uint64
}

// NewSystem makes a System.
func NewSystem(c Config) *System {
	s := &System{
		log:      orDiscard(c.Logger),
		dropped:  c.Dropped,
		pool:     c.Pool,
		allEnded: make(chan struct{}),
	}
	if s.pool == nil {
		s.pool = NewPool(PoolConfig{Logger: c.Logger})
		s.ownPool = true
	}
	s.engine = engine.NewActorSystem(engine.WithLoggerFactory(func(*engine.ActorSystem) *slog.Logger {
		// Everything worth saying is said by this package.
		return slog.New(slog.DiscardHandler)
	}))
	// The engine says on this stream that a stop came too late for a child that
	// was just ending, and its own listener starts a goroutine for a second at
	// each, which would outlive Close. This package listens to nothing there.
	s.engine.EventStream = eventstream.NewEventStream()
	if c.Name != "" {
		s.engine.ProcessRegistry.Address = c.Name
	}
	return s
}

// Spawn starts a process without a parent. Its Receiver must not be shared
// with another process. It returns ErrClosed once Close has been called.
func (s *System) Spawn(r Receiver, o Options) (*Ref, error) {
	return s.spawn(s.engine.Root, nil, r, o)
}

// Go runs f on the System's pool; see Pool.Go.
func (s *System) Go(f func()) error { return s.pool.Go(f) }

// Pool returns the pool on which the System runs.
func (s *System) Pool() *Pool { return s.pool }

// Stats returns a snapshot.
func (s *System) Stats() Stats {
	return Stats{
		Live:     s.live.Load(),
		Dropped:  s.drops.Load(),
		Refused:  s.refusals.Load(),
		Panics:   s.panics.Load(),
		Restarts: s.restarts.Load(),
	}
}

// Close refuses new processes, stops all there are with the reason ErrClosed,
// and waits for them to end; then it closes the pool if that is its own, which
// waits for functions given to Go. Nothing of the System runs afterwards.
//
// If ctx ends first, because a handler blocks, its error is returned, the rest
// goes on ending, and Close may be called again to wait for it. Close must not
// be called on a worker of the System's pool.
func (s *System) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	s.mu.Unlock()
	if first {
		s.stopAll()
		if s.live.Load() == 0 {
			s.endOnce.Do(func() { close(s.allEnded) })
		}
	}
	select {
	case <-s.allEnded:
	default:
		select {
		case <-s.allEnded:
		case <-ctx.Done():
			return fmt.Errorf("actor: %d processes have not ended: %w", s.live.Load(), ctx.Err())
		}
	}
	if s.ownPool {
		return s.pool.Close(ctx)
	}
	return nil
}

// stopAll asks every process without a parent to stop. It finds them in the
// engine's registry, so that a process need not be in a list of ours as well.
func (s *System) stopAll() {
	for _, shard := range s.engine.ProcessRegistry.LocalPIDs.LocalPIDs {
		shard.IterCb(func(id string, v any) {
			if p, ok := v.(*engine.ActorProcess); ok && !strings.Contains(id, "/") {
				p.SendSystemMessage(nil, &engine.Stop{})
			}
		})
	}
}

// ended counts a process out.
func (s *System) ended() {
	if s.live.Add(-1) > 0 {
		return
	}
	s.mu.RLock()
	closing := s.closing
	s.mu.RUnlock()
	if closing {
		s.endOnce.Do(func() { close(s.allEnded) })
	}
}

// drop hands over a message that nobody will handle.
func (s *System) drop(to *Ref, msg any) {
	s.drops.Add(1)
	if s.dropped == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.panics.Add(1)
			s.log.Error("panic in Dropped", "process", to.id, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	s.dropped(to, msg)
}
