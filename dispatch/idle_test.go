package dispatch_test

import (
	"runtime"
	"testing"

	"parley/dispatch"
)

// wantNothingHeld checks that nothing is left when nothing is going on.
func wantNothingHeld(t testing.TB, sides ...side) {
	t.Helper()
	for _, s := range sides {
		st := waitIdle(s)
		if st.Conversations+st.Requests+st.Pending+st.Early != 0 || st.QueuedBytes != 0 {
			t.Errorf("%s holds %+v", s.id.Short(), st)
		}
	}
}

// waitIdle gives what runs on other goroutines the time to end. A handler's answer
// comes before its slot is free.
func waitIdle(s side) dispatch.Stats {
	for range 100_000 {
		st := s.Stats()
		if st.Conversations+st.Requests+st.Pending == 0 {
			return st
		}
		runtime.Gosched()
	}
	return s.Stats()
}
