package socket

import (
	"slices"
	"testing"
)

// moves tries every pair of states and returns those that go panics for not. No panic may change the state.
func moves[S interface {
	~int32
	String() string
}](t *testing.T, states []S, move func(s *Session, to S), at func(s *Session) S, set func(s *Session, from S),
) []string {
	t.Helper()
	var allowed []string
	for _, from := range states {
		for _, to := range states {
			var s Session
			set(&s, from)
			func() {
				defer func() {
					if recover() != nil && at(&s) != from {
						t.Errorf("%v to %v is refused and leaves %v", from, to, at(&s))
					}
				}()
				move(&s, to)
				if at(&s) != to {
					t.Errorf("%v to %v ends in %v", from, to, at(&s))
				}
				allowed = append(allowed, from.String()+"→"+to.String())
			}()
		}
	}
	return allowed
}

// C3: a session only moves forward, never back into a state, and not at all from StateClosed.
func TestStateTransitions(t *testing.T) {
	got := moves(t, []State{StateInit, StateHandshaking, StateEstablished, StateClosing, StateClosed},
		(*Session).enter, (*Session).State, func(s *Session, from State) { s.state.Store(int32(from)) })
	want := []string{
		"init→handshaking",
		"handshaking→established", "handshaking→closed",
		"established→closing", "established→closed",
		"closing→closed",
	}
	if !slices.Equal(got, want) {
		t.Errorf("a session goes from and to\n%q, want\n%q", got, want)
	}
}

// C7: a session whose connections are down comes up by a new connection, without having been stalled again;
// to stay in a condition is no change.
func TestConditionTransitions(t *testing.T) {
	became := func(s *Session, to Condition) {
		from := s.Condition()
		if changed := s.become(to); changed != (from != to) {
			t.Errorf("%v to %v: changed is %v", from, to, changed)
		}
	}
	got := moves(t, []Condition{ConditionUp, ConditionStalled, ConditionDown},
		became, (*Session).Condition, func(s *Session, from Condition) { s.condition.Store(int32(from)) })
	want := []string{
		"up→up", "up→stalled", "up→down",
		"stalled→up", "stalled→stalled", "stalled→down",
		"down→up", "down→down",
	}
	if !slices.Equal(got, want) {
		t.Errorf("connections go from and to\n%q, want\n%q", got, want)
	}
}

// A session begins where the diagram does.
func TestFirstStates(t *testing.T) {
	var s Session
	if s.State() != StateInit || s.Condition() != ConditionUp {
		t.Errorf("a session begins %v and %v", s.State(), s.Condition())
	}
}

func TestStateNames(t *testing.T) {
	if a, b := State(5).String(), Condition(3).String(); a != "unknown" || b != "unknown" {
		t.Errorf("what does not exist is called %q and %q", a, b)
	}
}
