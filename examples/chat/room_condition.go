package main

import (
	"context"

	"parley/socket"
)

// How a peer is, in words for scripts and for the status line.
const (
	stateUp      = "up"
	stateStalled = "stalled"
	stateDown    = "down"
)

// sessionChanged observes the host: it is told when a session loses its connection and
// when it has one again. It does not wait.
func (r *room) sessionChanged(e socket.Event) {
	var c socket.Condition
	switch e.Kind {
	case socket.Up:
		c = socket.ConditionUp
	case socket.Stalled:
		c = socket.ConditionStalled
	case socket.Down:
		c = socket.ConditionDown
	default: // the conversations tell
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conditionOf(r.members[e.Session.Peer()], e.Session.Incarnation(), c, e.Cause)
}

// conditionOf notes the condition of a member's session, if that is the current one, and
// has the user told. The caller holds mu.
func (r *room) conditionOf(m *member, session uint64, c socket.Condition, cause error) {
	if r.over || m == nil || m.session != session {
		return
	}
	m.condition, m.cause = c, cause
	r.wake()
	if !m.telling {
		m.telling = true
		r.spawn(func() {
			m.shows.enter()
			defer m.shows.leave()
			r.tell(m)
		})
	}
}

// tell tells the user how a member's session is, until what was told is so. What
// changed back before the user could see it is left out. The caller holds m.shows.
func (r *room) tell(m *member) {
	for {
		r.mu.Lock()
		if r.over || m.hearing == nil || m.heardIn != m.session || m.seen == m.condition {
			m.telling = false
			r.mu.Unlock()
			return
		}
		m.seen = m.condition
		var e event
		switch w := r.who(m); m.seen {
		case socket.ConditionUp:
			m.told = false
			e = resumed{w}
		case socket.ConditionStalled:
			e = stalled{w}
		case socket.ConditionDown:
			e = cutOff{w, outage(m.cause)}
		}
		r.mu.Unlock()
		r.show(e)
	}
}

// reached reports whether a member is there and not known to be cut off. The caller
// holds the room's mutex, as for all that follows.
func (m *member) reached() bool {
	return m.hearing != nil && (m.heardIn != m.session || m.condition != socket.ConditionDown)
}

// away reports whether the user was told that a member who was there is cut off.
func (m *member) away() bool { return m.hearing != nil && m.seen == socket.ConditionDown }

func (m *member) state() string {
	switch {
	case !m.reached():
		return stateDown
	case m.condition == socket.ConditionStalled:
		return stateStalled
	}
	return stateUp
}

// part returns the lines that a stranger who is no longer there will not get. Nobody
// knows whether it ever comes back; but one that has begun anew is about to, so for that
// they wait a little. The caller holds mu.
func (r *room) part(m *member, why error) []line {
	if !began(why) {
		return m.out.drain()
	}
	if m.out.len() > 0 {
		r.spawn(func() { r.awaitReturn(m) })
	}
	return nil
}

// awaitReturn gives up a stranger's lines if it does not return in time.
func (r *room) awaitReturn(m *member) {
	ctx, cancel := context.WithTimeout(r.sending, returnWait)
	defer cancel()
	for {
		r.mu.Lock()
		back, changed := m.hearing != nil, r.changed
		r.mu.Unlock()
		if back {
			return
		}
		select {
		case <-changed:
			continue
		case <-ctx.Done():
		}
		r.mu.Lock()
		var lost []line
		w := r.who(m)
		if m.hearing == nil && !r.over {
			lost = m.out.drain()
			r.forget(m)
		}
		r.mu.Unlock()
		r.lose(w, lost, "it left")
		return
	}
}
