package dispatch

import (
	"context"
	"time"

	"parley/peer"
	"parley/wire"
)

// Info describes an arrived message.
type Info struct {
	// ID names the message, alike at both ends.
	ID wire.MessageID
	// SendTime is when the peer sent it, by the peer's clock; zero if it did not
	// say. ReceiveTime is when it arrived, by this side's (B12).
	SendTime, ReceiveTime time.Time
	// Deadline is when the peer loses interest, by this side's clock: zero if it
	// did not say.
	Deadline time.Time
	// Trace is the trace context it carried, if any.
	Trace wire.Trace
}

// Peer returns who sent the message.
func (i Info) Peer() peer.ID { return i.ID.Sender }

func infoOf(s *session, h *wire.Header, received time.Time) Info {
	i := Info{ID: wire.MessageID{Sender: s.peer, Incarnation: s.remote, Seq: h.ID}, ReceiveTime: received, Trace: h.Trace}
	if h.SendTime != 0 {
		i.SendTime = time.UnixMicro(h.SendTime)
	}
	if h.Timeout != 0 {
		i.Deadline = received.Add(h.Timeout)
	}
	return i
}

// PeerOf returns who is at the other end, from the context of a handler or a
// conversation: the authenticated key, whatever the message says. From any other
// context it returns the zero ID.
func PeerOf(ctx context.Context) peer.ID {
	if p, ok := ctx.Value(peerKey{}).(*peer.ID); ok {
		return *p
	}
	return peer.ID{}
}

// InfoOf returns what is known of the message being handled, from the context of
// a request handler. In a conversation use [Conversation.Info].
func InfoOf(ctx context.Context) (Info, bool) {
	if i, ok := ctx.Value(infoKey{}).(*Info); ok {
		return *i, true
	}
	return Info{}, false
}
