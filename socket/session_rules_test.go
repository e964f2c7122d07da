package socket_test

import (
	"context"
	"testing"

	"parley/socket"
	"parley/wire"
)

// Which session a Hello belongs to, while the one with the incarnation 7 is live.
func TestMatching(t *testing.T) { // SE8, SE9, SE11
	const none, live, other = 0, 1, 2
	for name, tc := range map[string]struct {
		mine  uint64
		names int
		want  string
	}{
		"the same, naming none":    {7, none, "joins"},
		"the same, naming it":      {7, live, "resumes"},
		"the same, naming another": {7, other, "lost"},
		"later, naming none":       {8, none, "supersedes"},
		"later, naming it":         {8, live, "lost"},
		"later, naming another":    {8, other, "lost"},
		"earlier, naming none":     {6, none, "outdated"},
		"earlier, naming it":       {6, live, "superseded"},
		"earlier, naming another":  {6, other, "superseded"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.meet()
				s := p.session()
				c, err := p.x.dial(p.b, p.x.certificate("x"))
				if err != nil {
					t.Fatal(err)
				}
				control, frames := hello(t, c, func(h *wire.Hello) {
					h.Incarnation = tc.mine
					switch tc.names {
					case live:
						h.PeerIncarnation = s.Incarnation()
					case other:
						h.PeerIncarnation = s.Incarnation() - 1
					}
				})
				lives := true
				switch tc.want {
				case "joins", "resumes":
					a := next(t, frames).GetAccept()
					if a.GetIncarnation() != s.Incarnation() || a.GetPeerIncarnation() != 7 || a.GetResumed() != (tc.want == "resumes") {
						t.Errorf("Accept is %v", a)
					}
				case "outdated":
					if m := next(t, frames).GetOutdated(); m.GetIncarnation() != 7 {
						t.Errorf("told to exceed %v, want 7", m)
					}
					if _, err := wire.ReadControl(frames); err == nil {
						t.Error("something follows Outdated")
					}
					_ = c.CloseWithError(1, "")
				case "lost", "superseded":
					want := map[string]int{"lost": codeState, "superseded": codeSuperseded}[tc.want]
					if got := fate(c, nil); got != want {
						t.Errorf("closed with %d, want %d", got, want)
					}
				case "supersedes":
					a := next(t, frames).GetAccept()
					if a.GetPeerIncarnation() != 8 || a.GetIncarnation() <= s.Incarnation() || a.GetResumed() {
						t.Errorf("Accept is %v", a)
					}
					if got := fate(p.c, nil); got != codeSuperseded {
						t.Errorf("the old one is closed with %d", got)
					}
					wantCode(t, s.Err(), socket.Superseded)
					lives = false
				}
				_ = control
				if lives {
					p.ping()
				}
				if want := map[bool]int{true: 1, false: 2}[lives]; p.b.count() != want {
					t.Errorf("%d sessions came up, want %d", p.b.count(), want)
				}
			})
		})
	}
}

// Without a live session, one that was is not known any more; the next begins clean.
func TestLostStateBeginsClean(t *testing.T) { // SE8
	inWorld(t, func(w *world) {
		p := w.meet()
		p.lane(0, 0, "old")
		p.b.await("no block", func() bool { return len(p.b.blocks) == 1 })
		s := p.session()
		if err := s.Send(context.Background(), 0, []byte("old")); err != nil {
			t.Fatal(err)
		}
		_ = p.c.CloseWithError(10, "")
		<-s.Done()
		c, err := p.x.dial(p.b, p.x.certificate("x"))
		if err != nil {
			t.Fatal(err)
		}
		hello(t, c, p.resumes)
		if got := fate(c, nil); got != codeState {
			t.Errorf("closed with %d, want %d", got, codeState)
		}
		again := p.x.wild(p.b, func(h *wire.Hello) { h.Incarnation = 8 })
		if len(again.accept.GetReceived()) != 0 || again.accept.GetResumed() {
			t.Errorf("Accept is %v", again.accept)
		}
		again.noStream() // nothing of the old one is sent
		again.lane(0, 0, "new")
		p.b.await("no block", func() bool { return len(p.b.blocks) == 2 })
	})
}

// Who hears that its session is not known ends it.
func TestHearingThatStateIsLost(t *testing.T) { // SE8
	inWorld(t, func(w *world) {
		b, x := w.node("b"), w.listener("x")
		done := x.dialled(b)
		first, _ := x.welcome(b, nil)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		s := first.session()
		_ = first.c.CloseWithError(9, "")
		second, _ := x.answer(b, nil)
		_ = second.c.CloseWithError(codeState, "")
		<-s.Done()
		wantCode(t, s.Err(), socket.StateLost)
		_, h := x.welcome(b, nil) // b's application had asked for the session: it begins a new one
		if h.GetPeerIncarnation() != 0 || h.GetIncarnation() <= s.Incarnation() || len(h.GetReceived()) != 0 {
			t.Errorf("Hello is %v", h)
		}
	})
}
