package main

import (
	"context"
	"errors"
	"sync"

	"parley/dispatch"
	"parley/peer"
	"parley/socket"
	"parley/wire"
)

// room knows who is there. It takes our lines to the outboxes of those they are
// for, keeps count of who has acknowledged them, and shows what comes.
//
// A peer is there while the conversation that it began with us is live. Each
// session with a peer has a goroutine, talk, that begins ours and sends from the
// outbox; it ends with the session. A session that loses its connection does not
// end: conversations wait, and go on when it has another.
type room struct {
	ui       ui
	protocol *protocol
	// hangUp ends a session in which there is nothing more to say. It does not wait.
	hangUp func(p peer.ID, session uint64)
	life   context.Context //nolint:containedctx // the program's life
	spawn  func(func())    // starts a goroutine

	submitting sync.Mutex // lines are numbered and queued one at a time

	mu      sync.Mutex
	book    *book
	members map[peer.ID]*member
	shown   map[peer.ID]mark // bounded by maxRemembered
	number  uint64           // of our last line
	pending map[uint64]int   // how many peers have yet to acknowledge a line
	failed  map[uint64]bool  // lines of pending that one peer will not get
	changed chan struct{}    // closed, and replaced, when an outbox or a member changes
	closing bool             // no more lines are taken
	over    bool             // nor sent
	talks   sync.WaitGroup

	sending context.Context    //nolint:containedctx // until over
	silence context.CancelFunc // ends it
}

// mark is the last line of a peer that was shown: its process and number.
type mark struct{ run, number uint64 }

// member is a peer that is, or may come to be, in the room.
type member struct {
	id peer.ID

	// shows puts what is shown of a peer in order: nobody is heard before having
	// arrived, or after having left. It is taken before the room's mutex, and held
	// while something is shown.
	shows turnstile

	// The room's mutex guards the rest.
	given   bool // named on the command line: lines wait for it
	dialled bool // it has an address
	told    bool // the user knows that lines wait
	out     outbox

	session   uint64 // the current one, or 0
	nick      string // as it may be shown
	like      string // a warning about the nick
	run       uint64
	condition socket.Condition // of session
	cause     error            // why it is that
	seen      socket.Condition // what the user has been told of it, while it is there
	telling   bool             // the user is being told

	hearing *dispatch.Conversation // the peer's conversation with us; nil if it is not there
	heardIn uint64                 // the session of hearing
	why     error                  // why our conversation with it ended before its with us
}

// turnstile lets one through at a time. Unlike with a mutex, waiting for it may take
// long, and tests in virtual time see that somebody waits.
type turnstile chan struct{}

func (t turnstile) enter() { t <- struct{}{} }
func (t turnstile) leave() { <-t }

func newRoom(life context.Context, u ui, b *book, spawn func(func())) *room {
	sending, silence := context.WithCancel(life)
	return &room{
		sending: sending, silence: silence,
		ui: u, book: b, life: life, spawn: spawn,
		members: make(map[peer.ID]*member), shown: make(map[peer.ID]mark),
		pending: make(map[uint64]int), failed: make(map[uint64]bool),
		changed: make(chan struct{}),
	}
}

// expect makes a member of a peer that is going to be dialled.
func (r *room) expect(id peer.ID, given bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.member(id)
	m.dialled = true
	m.given = m.given || given
}

// member returns, and makes if need be, the member for a peer. The caller holds mu.
func (r *room) member(id peer.ID) *member {
	m := r.members[id]
	if m == nil {
		m = &member{id: id, shows: make(turnstile, 1)}
		r.members[id] = m
	}
	return m
}

// wake tells all who wait that something has changed. The caller holds mu.
func (r *room) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// sessionUp is told by the transport that a session with a peer has begun.
func (r *room) sessionUp(id peer.ID, session uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	m := r.member(id)
	m.session, m.condition = session, socket.ConditionUp
	m.why = nil
	m.out.rewind()
	r.talks.Add(1)
	r.spawn(func() {
		defer r.talks.Done()
		r.talk(m, session)
	})
}

// sessionDown is told that one is over.
func (r *room) sessionDown(id peer.ID, session uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[id]; m != nil && m.session == session {
		m.session = 0
		r.forget(m)
	}
}

// forget drops a member of whom there is nothing to remember: strangers come and
// go. The caller holds mu.
func (r *room) forget(m *member) {
	if m.session == 0 && m.hearing == nil && !m.dialled && m.out.len() == 0 && r.members[m.id] == m {
		delete(r.members, m.id)
	}
}

// talk says our lines to a peer for as long as a session lasts.
func (r *room) talk(m *member, session uint64) {
	c, err := r.protocol.open(r.sending, m.id)
	if err == nil {
		defer context.AfterFunc(r.sending, c.End)() // it may be waiting for credit from one who is cut off
		var first, last uint64                      // numbers of what was said
		for {
			l, ok := r.next(c.Context(), m, session)
			if !ok {
				break
			}
			if first == 0 {
				first = l.number
			}
			last = l.number
			if err = say(c, l.number, l.text); err != nil {
				break
			}
		}
		c.End() // for when it is the session that failed
		<-c.Done()
		// A session refuses lines a moment before we hear of its end: then only that says why.
		if failed, ok := errors.AsType[*dispatch.Error](err); !ok || failed.Code != wire.Unavailable || c.Err() != nil {
			err = c.Err()
		}
		r.refused(m, first, last, err)
	}
	r.mu.Lock()
	h := m.hearing
	if m.heardIn != session {
		h = nil
	}
	mute := h == nil && m.session == session && !r.over
	if m.session == session {
		m.why = err
	}
	w := r.who(m)
	r.mu.Unlock()
	if h != nil {
		h.End() // we cannot answer any more, so the peer need not go on
	}
	if _, refused := errors.AsType[*dispatch.PeerError](err); refused && mute {
		r.show(notice{w.full() + " does not chat with us: " + reason(err)})
	}
}

// next waits for the next line to send to a peer: once it is there, for as long
// as ctx and the session last.
func (r *room) next(ctx context.Context, m *member, session uint64) (line, bool) {
	for {
		r.mu.Lock()
		if r.over {
			r.mu.Unlock()
			return line{}, false
		}
		if m.session == session && m.heardIn == session && m.hearing != nil {
			if l, ok := m.out.take(); ok {
				r.mu.Unlock()
				return l, true
			}
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return line{}, false
		}
	}
}

// attend returns a member whose events are this caller's to show, in order, until it
// leaves m.shows.
func (r *room) attend(id peer.ID) *member {
	r.mu.Lock()
	m := r.member(id)
	r.mu.Unlock()
	m.shows.enter()
	return m
}

// greeted implements audience.
func (r *room) greeted(c *dispatch.Conversation, nick string, run uint64) error {
	m := r.attend(c.Peer())
	defer m.shows.leave()

	r.mu.Lock()
	old := m.hearing
	switch {
	case r.over:
		r.mu.Unlock()
		return dispatch.Errorf(wire.Unavailable, "leaving")
	case old != nil && old.Context().Err() == nil:
		r.mu.Unlock()
		return dispatch.Errorf(wire.AlreadyExists, "you are talking to me already")
	case c.Context().Err() != nil: // its session is over, and m.session may be another
		r.mu.Unlock()
		return c.Context().Err()
	}
	before := r.who(m)
	away := m.away()
	m.hearing, m.heardIn, m.run, m.told, m.seen = c, m.session, run, false, socket.ConditionUp
	r.call(m, nick)
	w := r.who(m)
	r.wake()
	r.mu.Unlock()
	if old != nil { // its end has not been told yet, and will find itself replaced
		r.show(departed{before, reason(old.Err()), away})
	}
	r.show(arrived{w})
	r.tell(m)
	return nil
}

// heard implements audience.
func (r *room) heard(c *dispatch.Conversation, number uint64, text string) error {
	m := r.attend(c.Peer())
	defer m.shows.leave()

	r.mu.Lock()
	now, last := mark{m.run, number}, r.shown[m.id]
	w := r.who(m)
	current := m.hearing == c
	r.mu.Unlock()
	switch {
	case !current:
		return dispatch.Errorf(wire.Aborted, "another conversation took the place of this one")
	case last.run == now.run && number <= last.number:
		return nil // shown before the session broke; the acknowledgement was lost
	}
	if r.ui.show(message{w, clean(text)}) != nil {
		return dispatch.Errorf(wire.Unavailable, "leaving")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remember(m.id, now)
	return nil
}

// remember notes the last line shown of a peer. The caller holds mu.
func (r *room) remember(id peer.ID, last mark) {
	if _, known := r.shown[id]; !known && len(r.shown) >= maxRemembered {
		for other := range r.shown { // any, but rather one that is not here
			delete(r.shown, other)
			if m := r.members[other]; m == nil || m.hearing == nil {
				break
			}
		}
	}
	r.shown[id] = last
}

// left implements audience.
func (r *room) left(c *dispatch.Conversation, err error) {
	r.mu.Lock()
	m := r.members[c.Peer()]
	r.mu.Unlock()
	if m == nil {
		return
	}
	m.shows.enter()
	defer m.shows.leave()

	r.mu.Lock()
	if m.hearing != c {
		r.mu.Unlock()
		return
	}
	if err == nil {
		err = m.why
	}
	w, session, over, away := r.who(m), m.heardIn, r.over, m.away()
	m.hearing = nil
	var lost []line
	if w.petname == "" && !m.dialled && !over {
		lost = r.part(m, err)
	}
	r.forget(m)
	r.wake()
	r.mu.Unlock()
	if !over {
		r.show(departed{w, reason(err), away})
		r.hangUp(m.id, session)
	}
	r.lose(w, lost, "it left")
}

// show shows an event whose fate does not matter to anybody else.
func (r *room) show(e event) { _ = r.ui.show(e) }
