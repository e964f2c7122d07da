package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/examples/chat/chatpb"
	"parley/wire"
)

// rude is a peer without manners.
type rude struct {
	t *testing.T
	d *dispatch.Dispatcher
	e *dispatchtest.Endpoint
	// acks and over tell of its own conversation, greeted of the other's.
	acks    []uint64
	over    []error
	greeted *dispatch.Conversation
	// hears answers a line.
	hears func(c *dispatch.Conversation, m *chatpb.Line) error
}

func newRude(t *testing.T) *rude {
	t.Helper()
	r := &rude{t: t, e: dispatchtest.New(dispatchtest.ID(9))}
	var err error
	if r.d, err = dispatch.New(r.e, dispatch.Config{}); err != nil {
		t.Fatal(err)
	}
	theirs, err := dispatch.NewBehavior(dispatch.On(func(r *rude, c *dispatch.Conversation, m *chatpb.Line) error {
		if r.hears == nil {
			return nil
		}
		return r.hears(c, m)
	}))
	if err != nil {
		t.Fatal(err)
	}
	err = dispatch.Converse(r.d, func(c *dispatch.Conversation, _ *chatpb.Hello) (*rude, error) {
		r.greeted = c
		return r, nil
	}, theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.d.Close(context.Background()) })
	return r
}

func (r *rude) opens(to *site) *dispatch.Conversation {
	r.t.Helper()
	b, err := dispatch.NewBehavior(
		dispatch.On(func(r *rude, _ *dispatch.Conversation, m *chatpb.Ack) error {
			r.acks = append(r.acks, m.GetNumber())
			return nil
		}),
		dispatch.OnEnd(func(r *rude, _ *dispatch.Conversation, err error) { r.over = append(r.over, err) }),
	)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := dispatch.Open(r.t.Context(), r.d, to.end.LocalID(), &chatpb.Hello{Nick: "rude\x1b[31m\nmsg alice", Run: 9}, r, b)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// TestRudePeers: who breaks the rules of the protocol is told so, and is gone.
func TestRudePeers(t *testing.T) {
	for _, c := range []struct {
		name string
		does func(r *rude, alice *site, c *dispatch.Conversation)
		code wire.Code
	}{
		{"numbers that do not rise", func(_ *rude, _ *site, c *dispatch.Conversation) {
			_ = say(c, 2, "two")
			_ = say(c, 2, "two again")
		}, wire.InvalidArgument},
		{"line 0", func(_ *rude, _ *site, c *dispatch.Conversation) { _ = say(c, 0, "zero") }, wire.InvalidArgument},
		{"a long line", func(_ *rude, _ *site, c *dispatch.Conversation) {
			_ = say(c, 1, strings.Repeat("x", maxLine+1))
		}, wire.InvalidArgument},
		{"two lines in one", func(_ *rude, _ *site, c *dispatch.Conversation) { _ = say(c, 1, "one\ntwo") }, wire.InvalidArgument},
		{"a carriage return", func(_ *rude, _ *site, c *dispatch.Conversation) { _ = say(c, 1, "one\rtwo") }, wire.InvalidArgument},
		{"another type", func(_ *rude, _ *site, c *dispatch.Conversation) {
			_ = c.Send(&chatpb.Hello{})
		}, wire.Unimplemented},
		{"an acknowledgement of nothing", func(r *rude, _ *site, _ *dispatch.Conversation) {
			_ = r.greeted.Send(&chatpb.Ack{Number: 1})
		}, wire.OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				alice, r := newSite(t, 1, "alice"), newRude(t)
				connect(alice, &site{end: r.e})
				conv := r.opens(alice)
				id := r.e.LocalID().Short()
				alice.shows("up " + id + ` "rude[31m-msg-alice"`)
				c.does(r, alice, conv)
				got := alice.got()
				if len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "down "+id) {
					t.Errorf("alice sees %q", got)
				}
				if len(r.over) != 1 || c.code != dispatch.CodeOf(r.over[0]) {
					t.Errorf("it is told %v", r.over)
				}
				if len(alice.hung) != 1 {
					t.Error("it keeps the session")
				}
			})
		})
	}
	t.Run("a second conversation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			alice, r := newSite(t, 1, "alice"), newRude(t)
			connect(alice, &site{end: r.e})
			first := r.opens(alice)
			alice.got()
			r.opens(alice)
			synctest.Wait()
			if len(r.over) != 1 || dispatch.CodeOf(r.over[0]) != wire.AlreadyExists {
				t.Errorf("it is told %v", r.over)
			}
			_ = say(first, 1, "still here")
			alice.shows("msg " + r.e.LocalID().Short() + " still here")
		})
	})
}

// TestOtherProgram: a peer that is no chat is no more than a notice.
func TestOtherProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, other := newSite(t, 1, "alice"), dispatchtest.New(dispatchtest.ID(9))
		d, err := dispatch.New(other, dispatch.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close(t.Context())
		connect(alice, &site{end: other})
		got := alice.got()
		if len(got) != 1 || !strings.HasPrefix(got[0], "notice "+other.LocalID().Short()+" does not chat with us: it says Unimplemented") {
			t.Errorf("alice sees %q", got)
		}
	})
}
