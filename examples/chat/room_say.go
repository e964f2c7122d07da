package main

import (
	"errors"
	"fmt"
	"slices"

	"parley/dispatch"
	"parley/wire"
)

var (
	errNobody  = errors.New("nobody is connected, so the line was not sent; dial a friend with -peer, or wait for one")
	errLeaving = errors.New("leaving; the line was not sent")
)

// say sends a line to one member or, if to is nil, to everybody there. It returns
// when the line is queued, and waits while a peer who can be reached has maxWaiting
// lines to acknowledge. The error is for the user: the line has not been sent.
//
// Everybody means the peers that are here, cut off or not, and those of the command
// line. If there are none it means those that are being dialled.
func (r *room) say(text string, to *member) error {
	if why := fault(text); why != "" {
		return errors.New("not sent: " + why)
	}
	r.submitting.Lock()
	defer r.submitting.Unlock()

	r.mu.Lock()
	audience := []*member{to}
	if to == nil {
		audience = r.everybody()
	}
	if r.closing || len(audience) == 0 {
		defer r.mu.Unlock()
		if r.closing {
			return errLeaving
		}
		return errNobody
	}
	r.number++
	l := said{number: r.number, text: text}
	if to != nil {
		l.to = r.who(to).label()
	}
	r.pending[l.number] = len(audience)
	r.mu.Unlock()

	r.show(l) // before it can be delivered
	for _, m := range audience {
		r.queue(m, l)
	}
	return nil
}

// everybody returns those who get a line that is for all. The caller holds mu.
func (r *room) everybody() []*member {
	var here, dialled []*member
	for _, m := range r.members {
		if m.hearing != nil || m.given {
			here = append(here, m)
		}
		if m.dialled {
			dialled = append(dialled, m)
		}
	}
	if len(here) == 0 {
		here = dialled
	}
	slices.SortFunc(here, func(a, b *member) int { return a.id.Compare(b.id) })
	return here
}

// queue puts a line into a member's outbox.
func (r *room) queue(m *member, l said) {
	r.mu.Lock()
	for m.out.full() && m.reached() && !r.closing {
		changed := r.changed
		r.mu.Unlock()
		<-changed
		r.mu.Lock()
	}
	w, there, tell, why := r.who(m), m.reached(), false, ""
	switch {
	case m.hearing == nil && !m.dialled && w.petname == "": // a stranger left meanwhile
		why = "it left"
	case m.out.full():
		why = fmt.Sprintf("%d lines wait for it already", maxWaiting)
	default:
		m.out.push(l.number, l.text)
		tell = !there && !m.told
		m.told = m.told || tell
		r.wake()
	}
	r.mu.Unlock()
	switch {
	case why != "":
		r.lose(w, []line{{number: l.number}}, why)
	case tell:
		r.show(notice{fmt.Sprintf("%s is not connected; lines wait for it from line %d on", w.full(), l.number)})
	}
}

// acknowledged implements audience.
func (r *room) acknowledged(c *dispatch.Conversation, number uint64) error {
	m := r.attend(c.Peer())
	defer m.shows.leave()

	r.mu.Lock()
	if !m.out.acknowledge(number) {
		r.mu.Unlock()
		return dispatch.Errorf(wire.InvalidArgument, "line %d is not the one to acknowledge", number)
	}
	done := r.settle(number, true)
	r.mu.Unlock()
	if done {
		r.show(delivered{number})
	}
	return nil
}

// settle notes that one peer has a line, or will never get it. It reports whether
// all have it. The caller holds mu.
func (r *room) settle(number uint64, has bool) bool {
	r.wake()
	r.pending[number]--
	if !has {
		r.failed[number] = true
	}
	if r.pending[number] > 0 {
		return false
	}
	all := !r.failed[number]
	delete(r.pending, number)
	delete(r.failed, number)
	return all
}

// lose tells that a peer will not get some lines.
func (r *room) lose(w who, lines []line, why string) {
	for _, l := range lines {
		r.mu.Lock()
		r.settle(l.number, false)
		r.mu.Unlock()
		r.show(undelivered{l.number, w, why})
	}
}

// refused gives up the line for which a peer ended our conversation, as soon as it is
// known which. Sent again it would be refused again, and no line after it would ever
// arrive. First and last are the numbers of the lines sent in that conversation.
func (r *room) refused(m *member, first, last uint64, err error) {
	status, ok := errors.AsType[*dispatch.PeerError](err)
	if !ok || status.Code != wire.InvalidArgument {
		return
	}
	r.mu.Lock()
	l, ok := m.out.refuse(first, last)
	w := r.who(m)
	r.mu.Unlock()
	if ok {
		r.lose(w, []line{l}, reason(err))
	}
}
