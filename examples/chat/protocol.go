package main

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"parley/dispatch"
	"parley/examples/chat/chatpb"
	"parley/peer"
	"parley/wire"
)

// fault says why a text cannot be a line, or "". Both sides ask it: what is sent is
// not refused by who has the same rules.
func fault(text string) string {
	switch {
	case len(text) > maxLine:
		return fmt.Sprintf("the line has %d bytes, and %d is the most", len(text), maxLine)
	case !utf8.ValidString(text):
		return "the line is not UTF-8"
	case strings.ContainsAny(text, "\r\n"):
		return "the line has a line break (CR or LF) in it"
	}
	return ""
}

// audience is told what happens in the conversations. Its methods are called in
// their turns: one at a time for each conversation, so one that waits holds up
// that peer, by way of its credit, and no other.
type audience interface {
	// greeted: a peer has begun to talk to us. An error refuses it.
	greeted(c *dispatch.Conversation, nick string, run uint64) error
	// heard returns when the user can see the line. An error ends the conversation.
	heard(c *dispatch.Conversation, number uint64, text string) error
	// left: the peer's conversation is over, for a reason or, if err is nil, because
	// one of the two sides has left.
	left(c *dispatch.Conversation, err error)
	// acknowledged: the peer's user can see our line. An error ends the conversation.
	acknowledged(c *dispatch.Conversation, number uint64) error
}

// protocol speaks the messages of package chatpb with every peer.
type protocol struct {
	d     *dispatch.Dispatcher
	hello *chatpb.Hello
	to    audience
	ours  *dispatch.Behavior[*saying]
}

// newProtocol registers the protocol with a dispatcher. Nick and run are what the
// Hello says of us.
func newProtocol(d *dispatch.Dispatcher, nick string, run uint64, to audience) (*protocol, error) {
	p := &protocol{d: d, hello: &chatpb.Hello{Nick: nick, Run: run}, to: to}
	theirs, err := dispatch.NewBehavior(
		dispatch.On((*hearing).line),
		dispatch.OnEnd((*hearing).end),
	)
	if err != nil {
		return nil, err
	}
	if p.ours, err = dispatch.NewBehavior(dispatch.On((*saying).ack)); err != nil {
		return nil, err
	}
	return p, dispatch.Converse(d, p.greeted, theirs)
}

// open begins the conversation in which we say our lines to a peer.
func (p *protocol) open(ctx context.Context, to peer.ID) (*dispatch.Conversation, error) {
	return dispatch.Open(ctx, p.d, to, proto.CloneOf(p.hello), &saying{p.to}, p.ours)
}

// say sends a line in a conversation that open began. It waits while the peer is
// behind.
func say(c *dispatch.Conversation, number uint64, text string) error {
	return c.Send(&chatpb.Line{Number: number, Text: text})
}

// saying is our side of a conversation that we began.
type saying struct{ to audience }

func (s *saying) ack(c *dispatch.Conversation, m *chatpb.Ack) error {
	return s.to.acknowledged(c, m.GetNumber())
}

// hearing is our side of a conversation that a peer began.
type hearing struct {
	to   audience
	last uint64 // the number of the last line
}

func (p *protocol) greeted(c *dispatch.Conversation, m *chatpb.Hello) (*hearing, error) {
	if err := p.to.greeted(c, m.GetNick(), m.GetRun()); err != nil {
		return nil, err
	}
	return &hearing{to: p.to}, nil
}

// line has a line shown and then, not before, acknowledges it.
func (h *hearing) line(c *dispatch.Conversation, m *chatpb.Line) error {
	switch {
	case m.GetNumber() <= h.last:
		return dispatch.Errorf(wire.InvalidArgument, "line %d comes after line %d", m.GetNumber(), h.last)
	case fault(m.GetText()) != "":
		return dispatch.Errorf(wire.InvalidArgument, "%s", fault(m.GetText()))
	}
	h.last = m.GetNumber()
	if err := h.to.heard(c, m.GetNumber(), m.GetText()); err != nil {
		return err
	}
	return c.Send(&chatpb.Ack{Number: m.GetNumber()})
}

func (h *hearing) end(c *dispatch.Conversation, err error) { h.to.left(c, err) }
