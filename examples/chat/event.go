package main

import "parley/peer"

// who says how a peer is shown. All its texts are fit for a terminal.
type who struct {
	id      peer.ID
	petname string // what the user calls it; empty for a stranger
	short   string // enough of the id to tell it from all others known
	nick    string // what it calls itself: never a name
	mark    string // a warning about the nick; may be empty
}

// label is the petname, or the short id.
func (w who) label() string {
	if w.petname != "" {
		return w.petname
	}
	return w.short
}

// full is the label, and for a stranger what it calls itself in quotes and what to
// think of that (I3).
func (w who) full() string {
	if w.petname != "" {
		return w.petname
	}
	s := w.short
	if w.nick != "" {
		s += ` "` + w.nick + `"`
	}
	if w.mark != "" {
		s += " (" + w.mark + ")"
	}
	return s
}

// event is something for the user to see.
//
//sumtype:decl
type event interface{ isEvent() }

type (
	// started comes first and once.
	started struct {
		id     peer.ID
		addr   string
		invite string // what a friend has to type; empty in a demo
	}
	// arrived and departed: a peer can be talked to, and no longer.
	arrived  struct{ who who }
	departed struct {
		who    who
		reason string
		away   bool // it was cutOff, and never resumed
	}
	// stalled, cutOff and resumed: nothing is heard of a peer who is here; the
	// connection is lost; it works again. What is said meanwhile waits.
	stalled struct{ who who }
	cutOff  struct {
		who    who
		reason string
	}
	resumed struct{ who who }
	// message is a line of a peer's.
	message struct {
		who  who
		text string
	}
	// said is a line of the user's own, on its way to one peer or, if to is empty,
	// to all.
	said struct {
		number   uint64
		to, text string
	}
	// delivered: every peer that the line went to has shown it.
	delivered struct{ number uint64 }
	// undelivered: one of those peers may not have got it, and will not any more.
	undelivered struct {
		number uint64
		who    who
		reason string
	}
	// unreachable: an attempt to reach a peer failed, for another reason than the
	// last one.
	unreachable struct {
		who    who
		reason string
	}
	// renamed: the user has named a peer.
	renamed struct {
		who who
		old string
	}
	// listed is one line of the answer to /who.
	listed struct {
		who     who
		state   string // up, stalled or down
		waiting int    // lines
		address string
	}
	// notice is anything else worth a line.
	notice struct{ text string }
)

func (started) isEvent()     {}
func (arrived) isEvent()     {}
func (departed) isEvent()    {}
func (stalled) isEvent()     {}
func (cutOff) isEvent()      {}
func (resumed) isEvent()     {}
func (message) isEvent()     {}
func (said) isEvent()        {}
func (delivered) isEvent()   {}
func (undelivered) isEvent() {}
func (unreachable) isEvent() {}
func (renamed) isEvent()     {}
func (listed) isEvent()      {}
func (notice) isEvent()      {}

// news reports whether the user learns anything from it: of somebody who did not come
// back, only that it left.
func (e departed) news() bool { return !e.away || e.reason == reasonLeft }

// ui is where the user is: a terminal, a script, or a robot.
type ui interface {
	// run hands each line of input to submit, until the input ends or close is
	// called. Submit says whether the line was taken; if not, the user has been told
	// why. Run is called once.
	run(submit func(line string) (taken bool)) error
	// show returns when the user can see the event, or with an error if that will
	// not happen. It may be called concurrently, before run too.
	show(e event) error
	// close ends run and gives the terminal back. It may be called more than once.
	close()
}
