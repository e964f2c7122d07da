package socket

import "slices"

//go:generate go run ../internal/statediagram -in session_state.go -out ../docs/states.md

// State is where a session is in its life (C3). It only ever moves forward.
type State int32

const (
	// StateInit has a name and nothing else, and nobody can see it yet. It sends and accepts nothing.
	StateInit State = iota
	// StateHandshaking sends and accepts Hello and Accept, on one or more connections. No block, datagram or
	// stream is sent or handed up.
	StateHandshaking
	// StateEstablished sends and accepts everything. How its connections are is its Condition.
	StateEstablished
	// StateClosing sends the blocks it took over before, what is written to open streams, and then Close or Closed;
	// new blocks and streams fail with Closed. It accepts everything, and hands it up.
	StateClosing
	// StateClosed sends and accepts nothing; Session.Err says why. What arrived before may still be handed up
	// until Session.Done is closed.
	StateClosed
)

func (s State) String() string {
	switch s {
	case StateInit:
		return "init"
	case StateHandshaking:
		return "handshaking"
	case StateEstablished:
		return "established"
	case StateClosing:
		return "closing"
	case StateClosed:
		return "closed"
	}
	return "unknown"
}

// Condition is how the connections of a session are while it is established or closing (C7). It changes any
// number of times: a session whose connections are gone is not over. Before StateEstablished it is
// ConditionUp, in StateClosed what it was last; neither means anything.
type Condition int32

const (
	// ConditionUp sends on the best connection and accepts on all: the peer was heard lately, or nothing waits
	// for it.
	ConditionUp Condition = iota
	// ConditionStalled sends and accepts on the connections it has, as before, and dials a new one beside them.
	// It is the early warning: what is sent now may have to wait.
	ConditionStalled
	// ConditionDown has no connection to send on: what is sent is kept until the buffers are full, and blocks
	// then. It dials, and accepts a new connection of the same session.
	ConditionDown
)

func (c Condition) String() string {
	switch c {
	case ConditionUp:
		return "up"
	case ConditionStalled:
		return "stalled"
	case ConditionDown:
		return "down"
	}
	return "unknown"
}

// transition is an arrow of a state machine. From the tables and comments in this file internal/statediagram
// draws docs/states.md: each row is two constants and one string literal.
type transition[S ~int32] struct {
	From, To S
	When     string
}

var stateTransitions = []transition[State]{
	{StateInit, StateHandshaking, "begun by a dial or by a peer's Hello"},
	{StateHandshaking, StateEstablished, "Hello and Accept have been exchanged on one connection"},
	{StateHandshaking, StateClosed, "no attempt brought a connection, the peer began anew, or the host closed"},
	{StateEstablished, StateClosing, "Close, by us or by the peer"},
	{StateEstablished, StateClosed, "it cannot go on, the peer began anew, or the host closed"},
	{StateClosing, StateClosed, "both sides have everything, or the wait for that was cut off"},
}

var conditionTransitions = []transition[Condition]{
	{ConditionUp, ConditionStalled, "data waits and nothing was heard for max(3 RTT, 1 s)"},
	{ConditionUp, ConditionDown, "no connection is left, or all were silent for 1 s plus the worst latency of the last 5 minutes"},
	{ConditionStalled, ConditionUp, "a round trip was confirmed"},
	{ConditionStalled, ConditionDown, "no connection is left, or all were silent for 1 s plus the worst latency of the last 5 minutes"},
	{ConditionDown, ConditionUp, "resumed on a new connection"},
}

// enter moves the session to another state. Only the goroutine that owns the session's state calls it, and
// newSession before there is one. A transition that is not in the table is a fault of this package: to go on
// would break a promise to the application in silence, so it panics.
func (s *Session) enter(to State) {
	from := s.State()
	if !slices.ContainsFunc(stateTransitions, leads(from, to)) {
		panic("parley: fault in package socket: a session goes from " + from.String() + " to " + to.String())
	}
	s.state.Store(int32(to))
}

// Condition is how the session's connections are right now.
func (s *Session) Condition() Condition { return Condition(s.condition.Load()) }

// become sets the condition and reports whether that changed it. It is called, and panics, as enter.
func (s *Session) become(to Condition) bool {
	from := s.Condition()
	if from == to {
		return false
	}
	if !slices.ContainsFunc(conditionTransitions, leads(from, to)) {
		panic("parley: fault in package socket: a session's connections go from " + from.String() + " to " + to.String())
	}
	s.condition.Store(int32(to))
	return true
}

// leads finds the transition between two states.
func leads[S ~int32](from, to S) func(transition[S]) bool {
	return func(t transition[S]) bool { return t.From == from && t.To == to }
}
