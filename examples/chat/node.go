package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"parley/dispatch"
	"parley/peer"
	"parley/socket"
	"parley/wire"
)

// node is a chat: a key on a socket, the conversations on top, and a user.
type node struct {
	host       *socket.Host
	dispatcher *dispatch.Dispatcher
	gate       *gate
	room       *room
	ui         ui
	private    bool // there is a network secret

	opened  chan struct{}   // closed by open
	leaving chan struct{}   // closed by quit
	quit    func()          // asks for an end, as /quit does
	life    context.Context //nolint:containedctx // the node's life
	stop    context.CancelFunc
	work    sync.WaitGroup
}

// settings is what a node is made of.
type settings struct {
	home   *home
	listen string
	nick   string
	given  []friend
	secret peer.Secret
	ui     ui
	log    *slog.Logger
}

// newNode makes a node and binds its address. It does nothing until it is opened.
func newNode(s settings) (*node, error) {
	host, err := socket.Listen(socket.Config{
		Key: s.home.key, Listen: s.listen, NetworkSecret: s.secret, Logger: s.log,
		IdleTimeout: idleTimeout, KeepAlive: keepAlive, ReconnectMax: maxReconnect,
		// Lines are small: neither the system's buffers nor blocks need to be large.
		ReceiveBuffer: -1, SendBuffer: -1, MaxBlock: wire.MaxLaneBlock, MaxSessions: maxPeers,
	})
	if err != nil {
		if e, ok := errors.AsType[*socket.Error](err); ok && e.Err != nil {
			err = e.Err
		}
		return nil, fmt.Errorf("cannot listen: %w; see -listen", err)
	}
	n := &node{host: host, ui: s.ui, private: !s.secret.IsZero(), opened: make(chan struct{}), leaving: make(chan struct{})}
	n.quit = sync.OnceFunc(func() { close(n.leaving) })
	n.life, n.stop = context.WithCancel(context.Background())
	n.room = newRoom(n.life, s.ui, s.home.book, n.spawn)
	n.room.hangUp = n.hangUp
	n.gate = &gate{Transport: host, room: n.room}
	host.Observe(n.room.sessionChanged)
	if err = n.converse(s); err != nil {
		return nil, errors.Join(err, host.Close())
	}
	for _, e := range s.home.book.entries() {
		if e.address != "" {
			n.room.expect(e.id, false)
		}
	}
	for _, f := range s.given {
		n.room.expect(f.id, true)
	}
	return n, nil
}

// converse puts the protocol on the host.
func (n *node) converse(s settings) error {
	var err error
	n.dispatcher, err = dispatch.New(n.gate, dispatch.Config{
		Logger: s.log, Limits: dispatch.Limits{MaxConversations: maxConversations},
	})
	if err != nil {
		return err
	}
	var run [8]byte
	rand.Read(run[:])
	n.room.protocol, err = newProtocol(n.dispatcher, s.nick, binary.BigEndian.Uint64(run[:]), n.room)
	return err
}

// open lets peers in and begins to dial.
func (n *node) open() {
	for _, e := range n.room.book.entries() {
		if e.address != "" {
			n.spawn(func() { n.redial(e.id, e.address).run(n.life) })
		}
	}
	n.gate.open()
	close(n.opened)
}

// leave ends the node gracefully, or at once when ctx ends. It returns how many
// lines somebody did not get. It is called once, after open.
func (n *node) leave(ctx context.Context) int {
	waiting, cancel := context.WithTimeout(ctx, deliveryWait)
	defer cancel()
	lost := n.room.leave(waiting)
	n.stop()
	closing, cancel := context.WithTimeout(ctx, closeWait)
	defer cancel()
	// Who does not answer any more is not worth a word.
	_ = n.dispatcher.Close(closing)
	_ = n.host.Shutdown(closing)
	n.work.Wait()
	return lost
}

// hangUp closes a session.
func (n *node) hangUp(p peer.ID, session uint64) {
	s, ok := n.host.Session(p)
	if !ok || s.Incarnation() != session {
		return
	}
	n.spawn(func() {
		ctx, cancel := context.WithTimeout(n.life, closeWait)
		defer cancel()
		_ = s.Close(ctx) // it ends, one way or the other
	})
}

// redial returns what begins sessions with a peer.
func (n *node) redial(id peer.ID, address string) *redial {
	return &redial{
		dial: func(ctx context.Context) (<-chan struct{}, error) {
			s, err := n.host.Dial(ctx, id, address)
			switch {
			case err != nil && !n.private:
				return nil, &outsider{err}
			case err != nil:
				return nil, err
			}
			return s.Done(), nil
		},
		failed: func(why string) { n.room.missed(id, why+", at "+address) },
		min:    minRedial, max: maxRedial,
	}
}

// spawn runs f in a goroutine of the node. If it panics, the terminal is given back
// first, so that the user can read why.
func (n *node) spawn(f func()) {
	n.work.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				n.ui.close()
				panic(p)
			}
		}()
		f()
	})
}

// gate is a transport that lets a dispatcher have its traffic when open is called:
// dispatch.New attaches at once, and what came before the handlers are registered
// would be refused. It also tells the room of sessions, in order with the
// dispatcher.
type gate struct {
	dispatch.Transport

	room *room
	open func()
}

// Attach implements dispatch.Transport.
func (g *gate) Attach(up func(peer.ID, uint64, uint64), block func(peer.ID, uint64, []byte), down func(peer.ID, uint64, error)) {
	g.open = func() {
		g.Transport.Attach(
			func(p peer.ID, session, remote uint64) {
				up(p, session, remote)
				g.room.sessionUp(p, session)
			},
			block,
			func(p peer.ID, session uint64, cause error) {
				down(p, session, cause)
				g.room.sessionDown(p, session)
			},
		)
	}
}
