// Package dispatchtest joins dispatchers in memory, for tests of protocols built
// on package dispatch. There is no goroutine, clock or buffer in it: a block is
// delivered within the Send that sends it, so a test sees the same order each
// time, and it works in a testing/synctest bubble.
//
//	a, b := dispatchtest.NewPair()
//	da, _ := dispatch.New(a, dispatch.Config{})
//	db, _ := dispatch.New(b, dispatch.Config{})
//	dispatchtest.Connect(a, b)
//
// An [Endpoint]'s Intercept sees each block it sends and may have it dropped, held
// for later, or sent twice.
package dispatchtest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"parley/peer"
	"parley/wire"
)

// Block is a block on its way.
type Block struct {
	From, To   peer.ID
	Lane       uint64
	BestEffort bool
	Bytes      []byte // not to be changed
}

// Header returns the block's parsed head and its payload.
func (b Block) Header() (h wire.Header, payload []byte, err error) {
	payload, err = h.Parse(b.Bytes)
	return h, payload, err
}

// Action says what becomes of a block.
type Action uint8

// The actions.
const (
	Deliver Action = iota // at once
	Drop                  // never; a real transport does that to best-effort blocks only
	Hold                  // when Release is called
	Twice                 // twice, which no real transport does
	Refuse                // Send fails with ErrRefused
)

// ErrDown is the cause of sends without a session.
var ErrDown = errors.New("dispatchtest: no session")

// ErrRefused is the error of a Send that Intercept refused.
var ErrRefused = errors.New("dispatchtest: refused")

// tooLarge is the error of a Send of a block longer than wire.DefaultMaxBlock.
type tooLarge struct{ size int }

func (e tooLarge) Error() string { return fmt.Sprintf("dispatchtest: a block of %d bytes", e.size) }

func (tooLarge) TooLarge() bool { return true }

// Endpoint is a transport in memory, for blocks of up to wire.DefaultMaxBlock bytes. Its methods may be called concurrently.
type Endpoint struct {
	id peer.ID

	up    func(peer.ID, uint64, uint64)
	block func(peer.ID, uint64, []byte)
	down  func(peer.ID, uint64, error)

	mu        sync.Mutex
	intercept func(Block) Action
	links     map[peer.ID]*link
	held      []held
	sessions  uint64
}

// link is one direction of a session: from an endpoint to another.
type link struct {
	to       *Endpoint
	session  uint64 // the sender's name for it
	far      uint64 // the receiver's
	delivery sync.RWMutex
	gone     bool

	mu    sync.Mutex
	lanes map[uint64]*sync.Mutex
}

type held struct {
	block Block
	link  *link
}

// ID returns the n-th of a fixed series of peers: the same in every run.
func ID(n int) peer.ID {
	seed := sha256.Sum256([]byte("dispatchtest " + strconv.Itoa(n)))
	id, err := peer.IDFromPublicKey(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
	if err != nil {
		panic(err) // a derived key is always a good one
	}
	return id
}

// New returns an endpoint of a peer, without sessions.
func New(id peer.ID) *Endpoint { return &Endpoint{id: id, links: make(map[peer.ID]*link)} }

// NewPair returns endpoints of ID(1) and ID(2), without a session.
func NewPair() (a, b *Endpoint) { return New(ID(1)), New(ID(2)) }

// Connect makes a fresh session between two endpoints and tells them, a first. A
// session that they have is ended before.
func Connect(a, b *Endpoint) {
	Disconnect(a, b, errors.New("dispatchtest: replaced"))
	name := func(e *Endpoint) uint64 {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.sessions++
		return e.sessions<<8 | uint64(e.id[0]) | 1<<62 // unlike a peer's, and never zero
	}
	na, nb := name(a), name(b)
	ab, ba := newLink(b, na, nb), newLink(a, nb, na)
	// Neither hears of a block before it hears of the session.
	a.up(b.id, na, nb)
	b.up(a.id, nb, na)
	a.setLink(b.id, ab)
	b.setLink(a.id, ba)
}

func newLink(to *Endpoint, session, far uint64) *link {
	return &link{to: to, session: session, far: far, lanes: make(map[uint64]*sync.Mutex)}
}

func (e *Endpoint) setLink(to peer.ID, l *link) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l == nil {
		delete(e.links, to)
		return
	}
	e.links[to] = l
}

// Disconnect ends the session between two endpoints, if there is one, and tells
// both of the cause, a first. Blocks held on it are lost.
func Disconnect(a, b *Endpoint, cause error) {
	ab, ba := a.link(b.id), b.link(a.id)
	if ab == nil || ba == nil {
		return
	}
	a.setLink(b.id, nil)
	b.setLink(a.id, nil)
	ab.end()
	ba.end()
	a.down(b.id, ab.session, cause)
	b.down(a.id, ba.session, cause)
}

// end waits for deliveries under way and allows no more.
func (l *link) end() {
	l.delivery.Lock()
	defer l.delivery.Unlock()
	l.gone = true
}

func (e *Endpoint) link(to peer.ID) *link {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.links[to]
}

// Intercept has f decide what becomes of each block that e sends; nil delivers
// all. F runs within Send, may wait, and must not send itself.
func (e *Endpoint) Intercept(f func(Block) Action) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.intercept = f
}

// Release delivers the blocks that e holds, in the order that pick gives: it gets
// those held, oldest first, and returns the indices of those to deliver. What it
// leaves out stays held. With nil all are delivered in order. It returns how many
// were.
func (e *Endpoint) Release(pick func([]Block) []int) int {
	e.mu.Lock()
	all := e.held
	e.held = nil
	order := make([]int, 0, len(all))
	if pick == nil {
		for i := range all {
			order = append(order, i)
		}
	} else {
		blocks := make([]Block, len(all))
		for i := range all {
			blocks[i] = all[i].block
		}
		order = append(order, pick(blocks)...)
		picked := make(map[int]bool, len(order))
		for _, i := range order {
			picked[i] = true
		}
		for i := range all {
			if !picked[i] {
				e.held = append(e.held, all[i])
			}
		}
	}
	e.mu.Unlock()
	n := 0
	for _, i := range order {
		if all[i].link.deliver(all[i].block) == nil {
			n++
		}
	}
	return n
}

// Held returns how many blocks e holds.
func (e *Endpoint) Held() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.held)
}

// Inject delivers a block to e as if peer from had sent it in their session. It
// returns ErrDown if there is none.
func (e *Endpoint) Inject(from peer.ID, lane uint64, block []byte) error {
	l := e.link(from)
	if l == nil {
		return ErrDown
	}
	back := l.to.link(e.id)
	if back == nil {
		return ErrDown
	}
	return back.deliver(Block{From: from, To: e.id, Lane: lane, Bytes: block})
}

// LocalID implements dispatch.Transport.
func (e *Endpoint) LocalID() peer.ID { return e.id }

// Attach implements dispatch.Transport.
func (e *Endpoint) Attach(up func(peer.ID, uint64, uint64), block func(peer.ID, uint64, []byte), down func(peer.ID, uint64, error)) {
	e.up, e.block, e.down = up, block, down
}

// Send implements dispatch.Transport.
func (e *Endpoint) Send(ctx context.Context, to peer.ID, session, lane uint64, block []byte) error {
	return e.send(ctx, to, session, lane, block, false)
}

// SendBestEffort implements dispatch.Transport.
func (e *Endpoint) SendBestEffort(ctx context.Context, to peer.ID, session, lane uint64, block []byte) error {
	return e.send(ctx, to, session, lane, block, true)
}

func (e *Endpoint) send(ctx context.Context, to peer.ID, session, lane uint64, block []byte, bestEffort bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	l, intercept := e.links[to], e.intercept
	e.mu.Unlock()
	if l == nil || session != 0 && session != l.session {
		return ErrDown
	}
	if len(block) > wire.DefaultMaxBlock {
		return tooLarge{len(block)}
	}
	b := Block{From: e.id, To: to, Lane: lane, BestEffort: bestEffort, Bytes: append([]byte(nil), block...)}
	action := Deliver
	if intercept != nil {
		action = intercept(b)
	}
	switch action {
	case Drop:
		return nil
	case Refuse:
		return ErrRefused
	case Hold:
		e.mu.Lock()
		e.held = append(e.held, held{b, l})
		e.mu.Unlock()
		return nil
	case Twice:
		if err := l.deliver(b); err != nil {
			return err
		}
	}
	return l.deliver(b)
}

// deliver hands a block over, one at a time in each lane.
func (l *link) deliver(b Block) error {
	l.mu.Lock()
	lane := l.lanes[b.Lane%wire.MaxLanes]
	if lane == nil {
		lane = &sync.Mutex{}
		l.lanes[b.Lane%wire.MaxLanes] = lane
	}
	l.mu.Unlock()
	l.delivery.RLock()
	defer l.delivery.RUnlock()
	if l.gone {
		return ErrDown
	}
	lane.Lock()
	defer lane.Unlock()
	l.to.block(b.From, l.far, b.Bytes)
	return nil
}
