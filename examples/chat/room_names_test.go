package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"parley/dispatch/dispatchtest"
)

// TestShortIDs: ids that begin alike are shown at greater length, and a petname is not
// taken for an id.
func TestShortIDs(t *testing.T) {
	a, b := dispatchtest.ID(1), dispatchtest.ID(1)
	b[31] ^= 1 // the last byte: the texts differ at their end
	r := newRoom(t.Context(), &recorder{}, &book{}, nil)
	r.expect(a, false)
	if got := r.short(a); got != a.Short() {
		t.Errorf("alone it is %s", got)
	}
	if err := r.book.add(a.Short(), dispatchtest.ID(2), "", false); err != nil {
		t.Fatal(err)
	}
	if got := r.short(a); got != a.String()[:9] {
		t.Errorf("beside a petname like it, it is %s", got)
	}
	r.expect(b, false)
	x, y := r.short(a), r.short(b)
	if x == y || !strings.HasPrefix(a.String(), x) || len(x) < 49 {
		t.Errorf("beside each other they are %s and %s", x, y)
	}
}

// TestNicknameIsNoName: what a stranger calls itself resolves to nobody (I3).
func TestNicknameIsNoName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := newSite(t, 1, "alice"), newSite(t, 2, "bobby-tables")
		connect(alice, bob)
		alice.got()
		if m, err := alice.find("bobby-tables"); err == nil {
			t.Errorf("found %v", m.id)
		}
		for _, name := range []string{bob.end.LocalID().Short(), bob.end.LocalID().String()} {
			if m, err := alice.find(name); err != nil || m.id != bob.end.LocalID() {
				t.Errorf("%s is not found: %v", name, err)
			}
		}
		if _, err := alice.find(bob.end.LocalID().String()[:shortLen-1]); err == nil {
			t.Error("a part of an id is enough that anybody could have")
		}
	})
}
