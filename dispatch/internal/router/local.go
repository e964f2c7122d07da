package router

import (
	"slices"
	"time"

	"parley/wire"
)

// Outgoing holds the fields of a head that the router decides.
type Outgoing struct {
	ID        uint64
	InReplyTo uint64
	Regards   wire.RegardsKind
	RegardsID uint64
}

// Next numbers a message that waits for no reply.
func (r *Router[A, C, R]) Next() uint64 {
	r.sequence++
	return r.sequence
}

// Ask numbers a request and expects its reply (D3). The error is ErrLimit.
func (r *Router[A, C, R]) Ask(owner A) (id uint64, err error) {
	if len(r.asks) >= r.limits.OneShots {
		return 0, ErrLimit
	}
	id = r.Next()
	r.addAsk(id, ask[A, C]{owner: owner})
	return id, nil
}

// Forget gives up on the reply to id: a late one is dropped. It reports whether
// the reply was still expected.
func (r *Router[A, C, R]) Forget(id uint64) bool {
	a, ok := r.asks[id]
	if ok {
		r.freeAsk(id, a)
	}
	return ok
}

// Open begins a conversation with a message of the given cost, and expects its
// first answer by in-reply-to (D5). The error is ErrLimit.
func (r *Router[A, C, R]) Open(owner C, cost uint64) (id uint64, err error) {
	if len(r.convs[Ours]) >= r.limits.Conversations || len(r.asks) >= r.limits.OneShots {
		return 0, ErrLimit
	}
	id = r.Next()
	c := r.newConversation(Key{Ours, id}, owner)
	c.answered = true
	c.out.sent = cost // a window is open: the first message always passes
	r.addAsk(id, ask[A, C]{conv: c, begin: true})
	return id, nil
}

// Send numbers a message of the given cost in a conversation. InReplyTo is the
// number of the peer's message that it answers, or 0. The error is ErrEnded, or
// ErrWouldBlock until a MoreCredit effect.
func (r *Router[A, C, R]) Send(key Key, cost, inReplyTo uint64) (Outgoing, error) {
	c := r.convs[key.Side][key.ID]
	if c == nil || c.ended {
		return Outgoing{}, ErrEnded
	}
	return r.send(c, cost, inReplyTo)
}

func (r *Router[A, C, R]) send(c *conversation[A, C], cost, inReplyTo uint64) (Outgoing, error) {
	if !c.out.take(cost, r.limits.Window) {
		return Outgoing{}, ErrWouldBlock
	}
	id := r.Next()
	if !c.answered && (inReplyTo == 0 || inReplyTo == c.key.ID) {
		// The first answer of who was addressed names the begin alone (D5), unless
		// it answers a later message.
		c.answered = true
		return Outgoing{ID: id, InReplyTo: c.key.ID}, nil
	}
	if inReplyTo == c.key.ID && c.key.Side == Theirs {
		inReplyTo = 0 // its one-shot entry went with the first answer
	}
	return Outgoing{ID: id, InReplyTo: inReplyTo, Regards: c.key.Regards(), RegardsID: c.key.ID}, nil
}

// Request is Send for a message that expects a reply within the conversation.
// The error may also be ErrLimit.
func (r *Router[A, C, R]) Request(key Key, cost uint64, owner A) (Outgoing, error) {
	c := r.convs[key.Side][key.ID]
	if c == nil || c.ended {
		return Outgoing{}, ErrEnded
	}
	if len(r.asks) >= r.limits.OneShots {
		return Outgoing{}, ErrLimit
	}
	o, err := r.send(c, cost, 0)
	if err == nil {
		r.addAsk(o.ID, ask[A, C]{owner: owner, conv: c})
	}
	return o, err
}

// Unsend takes back message id, of the given cost, that was numbered but has
// certainly not been sent. First says that it named the begin alone.
func (r *Router[A, C, R]) Unsend(key Key, id, cost uint64, first bool) {
	c := r.convs[key.Side][key.ID]
	if c == nil {
		return
	}
	c.out.sent -= cost
	c.answered = c.answered && !first
	if a, ok := r.asks[id]; ok && a.conv == c {
		r.freeAsk(id, a)
	}
}

// Consumed says that a message of the given cost, delivered by Message or
// ReplyIn, is done with.
func (r *Router[A, C, R]) Consumed(key Key, cost uint64, out []Effect[A, C, R]) []Effect[A, C, R] {
	c := r.convs[key.Side][key.ID]
	if c == nil {
		return out
	}
	if credit := r.consume(c, cost); credit != 0 {
		out = append(out, Effect[A, C, R]{Kind: Grant, Key: key, Credit: credit})
	}
	return out
}

// End ends a conversation from this side. It reports whether it was open: then
// the caller owes the peer an end block.
func (r *Router[A, C, R]) End(key Key) bool {
	c := r.convs[key.Side][key.ID]
	if c == nil || c.ended {
		return false
	}
	r.end(c)
	return true
}

// Gone says that a conversation that has ended leaves nothing behind: its process
// is gone and its end block, if it owed one, has been handed to the transport.
func (r *Router[A, C, R]) Gone(key Key) {
	c := r.convs[key.Side][key.ID]
	if c == nil {
		return
	}
	r.end(c)
	r.queuedBytes -= c.queued
	delete(r.convs[key.Side], key.ID)
	r.recent[key.Side].add(key.ID)
}

// BindRequest gives a Request or Service effect its owner, before any other call,
// and lets blocks that came too early after it.
func (r *Router[A, C, R]) BindRequest(now time.Time, id uint64, owner R, out []Effect[A, C, R]) []Effect[A, C, R] {
	r.requests[id] = request[R]{owner: owner, bound: true}
	return r.release(now, id, out)
}

// BindConversation gives a Begin effect its owner, before any other call, and
// lets messages that came too early after it.
func (r *Router[A, C, R]) BindConversation(now time.Time, id uint64, owner C, out []Effect[A, C, R]) []Effect[A, C, R] {
	c := r.convs[Theirs][id]
	c.owner = owner
	if out = r.release(now, id, out); c.last && !c.ended {
		r.end(c)
		out = append(out, Effect[A, C, R]{Kind: PeerEnded, Key: c.key, Conv: owner})
	}
	return out
}

// Done says that a request of the given cost is dealt with, its reply handed to the
// transport. For a one-way message id is 0.
func (r *Router[A, C, R]) Done(id, cost uint64) {
	r.running--
	r.runningBytes -= int(cost)
	delete(r.requests, id)
}

// Down says that the session is over. Everything that waits is told; Done and
// Gone are still expected for what runs.
func (r *Router[A, C, R]) Down(out []Effect[A, C, R]) []Effect[A, C, R] {
	r.down = true
	for _, id := range sortedKeys(r.asks) {
		if a := r.asks[id]; a.conv == nil {
			out = append(out, Effect[A, C, R]{Kind: AskLost, Ask: a.owner, ID: id})
		}
	}
	clear(r.asks)
	for side := range r.convs {
		for _, id := range sortedKeys(r.convs[side]) {
			if c := r.convs[side][id]; !c.ended {
				r.end(c)
				out = append(out, Effect[A, C, R]{Kind: Lost, Key: c.key, Conv: c.owner})
			}
		}
	}
	for _, id := range sortedKeys(r.requests) {
		out = append(out, Effect[A, C, R]{Kind: RequestLost, ID: id, Req: r.requests[id].owner})
	}
	for range r.early {
		out = append(out, Effect[A, C, R]{Kind: Drop, Reason: SessionGone})
	}
	r.early, r.earlyBytes = nil, 0
	return out
}

// sortedKeys makes what a map holds come in the same order each time.
func sortedKeys[V any](m map[uint64]V) []uint64 {
	keys := make([]uint64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
