package socket_test

import (
	"testing"

	"parley/socket"
	"parley/wire"
)

// An Accept that resumes what is new, or begins anew what was to be resumed: one side would go on and the other begin,
// and old and new be mixed.
func TestAcceptSaysWhetherItResumes(t *testing.T) { // SE6
	for name, received := range map[string][]*wire.LaneCount{"new": nil, "new, received": {{Lane: 1, Count: 1}}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				b, x := w.node("b"), w.listener("x")
				done := x.dialled(b)
				p, _ := x.welcome(b, func(a *wire.Accept) { a.Resumed, a.Received = true, received })
				if got := fate(p.c, nil); got != codeProtocol {
					t.Errorf("closed with %d", got)
				}
				wantCode(t, <-done, socket.Protocol)
			})
		})
	}
	t.Run("resumed", func(t *testing.T) {
		inWorld(t, func(w *world) {
			b, x := w.node("b"), w.listener("x")
			done := x.dialled(b)
			first, _ := x.welcome(b, nil)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			_ = first.c.CloseWithError(9, "")
			second, h := x.welcome(b, func(a *wire.Accept) { a.Resumed = false })
			if h.GetPeerIncarnation() != 7 {
				t.Fatalf("Hello is %v", h)
			}
			if got := fate(second.c, nil); got != codeProtocol {
				t.Errorf("closed with %d", got)
			}
		})
	})
}
