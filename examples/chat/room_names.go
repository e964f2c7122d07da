package main

import (
	"fmt"
	"slices"
	"strings"

	"parley/peer"
	"parley/peer/petname"
)

// shortLen is how many characters of an id are shown, unless that is ambiguous.
const shortLen = 8

// who says how a member is shown (I3). The caller holds mu.
func (r *room) who(m *member) who {
	w := who{id: m.id, short: r.short(m.id)}
	if e := r.book.of(m.id); e != nil {
		w.petname = e.name
		return w
	}
	w.nick, w.mark = m.nick, m.like
	return w
}

// call notes what a member calls itself, and whether that is to be marked. The
// caller holds mu.
func (r *room) call(m *member, nick string) {
	m.nick, m.like = petname.Suggest(nick), ""
	if m.nick == "" {
		return
	}
	if like := r.book.like(m.nick); like != "" {
		m.like = "looks like " + like
	} else if petname.MixedScript(m.nick) {
		m.like = "mixes scripts"
	}
}

// short returns as much of an id as tells it from the others known and from all
// petnames. The caller holds mu.
func (r *room) short(id peer.ID) string {
	text := id.String()
	n := shortLen
	longer := func(other peer.ID) {
		for o := other.String(); other != id && n < len(text) && o[:n] == text[:n]; {
			n++
		}
	}
	for other := range r.members {
		longer(other)
	}
	for _, e := range r.book.entries() {
		longer(e.id)
	}
	for n < len(text) && r.book.named(text[:n]) != nil {
		n++
	}
	return text[:n]
}

// find returns the member that the user means by a petname, or by the id of
// somebody who has none, shortened or not. A nickname is not a name.
func (r *room) find(name string) (*member, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.book.named(name); e != nil {
		m := r.members[e.id]
		if m == nil || m.hearing == nil && !m.dialled {
			return nil, fmt.Errorf("%s is not connected, and has no address to be dialled at", name)
		}
		return m, nil
	}
	var found *member
	for id, m := range r.members {
		if len(name) >= shortLen && strings.HasPrefix(id.String(), name) && m.hearing != nil {
			if found != nil {
				return nil, fmt.Errorf("%s could be several peers; give more of the id, see /who", name)
			}
			found = m
		}
	}
	if found == nil {
		return nil, fmt.Errorf("nobody is called %q; /who lists who is here, /name names a peer", clean(name))
	}
	return found, nil
}

// name gives a petname to a key: that of an id, or of somebody who is here, by
// short id.
func (r *room) name(name, of string) error {
	id, err := peer.ParseID(of)
	if err != nil {
		m, missing := r.find(of)
		if missing != nil {
			if len(of) > 2*shortLen {
				return err
			}
			return missing
		}
		id = m.id
	}
	r.mu.Lock()
	old, err := r.book.rename(name, id)
	w := r.who(&member{id: id})
	for _, m := range r.members {
		r.call(m, m.nick) // the new name may be what it looks like
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	r.show(renamed{w, old})
	return nil
}

// list shows who is in the room, and who is not but has a name.
func (r *room) list() {
	r.mu.Lock()
	all := make(map[peer.ID]*member, len(r.members))
	for id, m := range r.members {
		if m.hearing != nil || m.dialled {
			all[id] = m
		}
	}
	addresses := make(map[peer.ID]string)
	for _, e := range r.book.entries() {
		addresses[e.id] = e.address
		if all[e.id] == nil {
			all[e.id] = &member{id: e.id}
		}
	}
	lines := make([]listed, 0, len(all))
	for id, m := range all {
		lines = append(lines, listed{who: r.who(m), state: m.state(), waiting: m.out.len(), address: addresses[id]})
	}
	r.mu.Unlock()
	slices.SortFunc(lines, func(a, b listed) int { // strangers last
		if named := a.who.petname != ""; named != (b.who.petname != "") {
			if named {
				return -1
			}
			return 1
		}
		return strings.Compare(a.who.full(), b.who.full())
	})
	for _, l := range lines {
		r.show(l)
	}
	if len(lines) == 0 {
		r.show(notice{"nobody is here yet"})
	}
}
