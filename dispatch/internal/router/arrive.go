package router

import (
	"time"

	"parley/wire"
)

// Arrive routes one block that came at the given time. It appends the effects to
// out. Header and payload may be reused after the call, the payload's bytes not.
func (r *Router[A, C, R]) Arrive(now time.Time, h *wire.Header, payload []byte, out []Effect[A, C, R]) []Effect[A, C, R] {
	return r.arrive(now, h, payload, nil, out)
}

// arrive routes a fresh block, or again one that was held.
func (r *Router[A, C, R]) arrive(now time.Time, h *wire.Header, payload []byte, held *Block, out []Effect[A, C, R]) []Effect[A, C, R] {
	switch {
	case r.down:
		return drop(out, SessionGone)
	case h.ReplyIncarnation != 0 || h.RegardsIncarnation != 0:
		return drop(out, OtherIncarnation)
	case h.Flags&wire.FlagBegin != 0 && (h.InReplyTo != 0 || h.Regards != wire.RegardsNone):
		return drop(out, MisplacedRegards)
	case h.Regards == wire.RegardsSender:
		return r.regarding(now, Key{Theirs, h.RegardsID}, h, payload, held, out)
	case h.Regards == wire.RegardsReceiver:
		return r.regarding(now, Key{Ours, h.RegardsID}, h, payload, held, out)
	case h.Regards == wire.RegardsService && (h.InReplyTo != 0 || h.Type == 0):
		return drop(out, MisplacedRegards)
	case h.InReplyTo != 0:
		return r.reply(h, payload, out)
	}
	return r.begin(h, payload, out)
}

// begin routes what has no reference to anything before: rows one and five (D2, D7).
func (r *Router[A, C, R]) begin(h *wire.Header, payload []byte, out []Effect[A, C, R]) []Effect[A, C, R] {
	oneWay, begins := h.Flags&wire.FlagOneWay != 0, h.Flags&wire.FlagBegin != 0
	if h.Flags&wire.FlagError != 0 {
		return drop(out, MisplacedStatus)
	}
	if h.ID == 0 && !oneWay {
		return drop(out, NoID)
	}
	var service uint32
	if h.Regards == wire.RegardsService {
		service = uint32(h.RegardsID)
	}
	class, known := r.table.Class(service, h.Type)
	reason, code, text := Reason(0), wire.OK, ""
	switch {
	case !known:
		reason, code, text = UnknownService, wire.Unimplemented, "no such service"
	case class == Unregistered && service != 0:
		reason, code, text = UnknownService, wire.Unimplemented, "the service does not take that message type"
	case class == Unregistered:
		reason, code, text = UnknownType, wire.Unimplemented, "no handler for that message type"
	case class == Unanswered && !oneWay:
		reason, code, text = WrongExchange, wire.Unimplemented, "that message type is one-way"
	case class == Answered && begins:
		reason, code, text = WrongExchange, wire.Unimplemented, "that message type is a request: it begins no conversation"
	case class == Conversing && !begins:
		reason, code, text = WrongExchange, wire.Unimplemented, "that message type begins a conversation: it is no request"
	case begins && oneWay:
		reason = WrongExchange
	case oneWay:
	case r.seen(h.ID):
		reason, code, text = Duplicate, wire.AlreadyExists, "that number is in use"
	case class == Conversing && len(r.convs[Theirs]) >= r.limits.Conversations:
		reason, code, text = TooManyConversations, wire.ResourceExhausted, "too many conversations"
	case class == Conversing && r.queuedBytes+Cost(len(payload)) > uint64(r.limits.QueuedBytes):
		reason, code, text = TooMuchQueued, wire.ResourceExhausted, "too much queued"
	}
	cost := Cost(len(payload))
	if reason == 0 && class != Conversing &&
		(r.running >= r.limits.Requests || r.runningBytes+int(cost) > r.limits.RequestBytes) {
		reason, code, text = TooManyRequests, wire.ResourceExhausted, "too many requests"
	}
	if reason != 0 {
		if oneWay {
			return drop(out, reason)
		}
		if reason != Duplicate {
			r.recent[Theirs].add(h.ID) // a cancel may be on its way
			out = r.discardEarly(h.ID, CrossedEnd, out)
		}
		return append(out, Effect[A, C, R]{Kind: Refuse, ID: h.ID, Reason: reason, Code: code, Text: text})
	}

	if class == Conversing {
		r.recent[Theirs].add(h.ID)
		c := r.newConversation(Key{Theirs, h.ID}, *new(C))
		c.in.accept(cost, r.limits.Window)
		c.last = h.Flags&wire.FlagLast != 0
		c.queued = cost
		r.queuedBytes += cost
		return append(out, Effect[A, C, R]{Kind: Begin, ID: h.ID, Key: c.key})
	}
	r.running++
	r.runningBytes += int(cost)
	if oneWay {
		return append(out, Effect[A, C, R]{Kind: OneWay, ID: h.ID})
	}
	r.recent[Theirs].add(h.ID)
	if r.requests == nil {
		r.requests = make(map[uint64]request[R])
	}
	r.requests[h.ID] = request[R]{}
	kind := Request
	if service != 0 {
		kind = Service
	}
	return append(out, Effect[A, C, R]{Kind: kind, ID: h.ID})
}

// seen reports whether the peer has already begun something with this number.
func (r *Router[A, C, R]) seen(id uint64) bool {
	if _, live := r.requests[id]; live || r.convs[Theirs][id] != nil {
		return true
	}
	return r.recent[Theirs].has(id)
}

// reply routes what has in-reply-to alone: row two (D3).
func (r *Router[A, C, R]) reply(h *wire.Header, payload []byte, out []Effect[A, C, R]) []Effect[A, C, R] {
	a, ok := r.asks[h.InReplyTo]
	if !ok {
		return drop(out, NoRequest)
	}
	if a.conv != nil {
		// The first answer to a begin, or a reply that left its conversation out.
		return r.deliver(a.conv, h, payload, nil, out)
	}
	last := lastReply(h)
	if last {
		delete(r.asks, h.InReplyTo)
	}
	return append(out, Effect[A, C, R]{Kind: Reply, ID: h.InReplyTo, Ask: a.owner, Last: last})
}

// lastReply reports whether a reply frees its entry. An error is always the last.
func lastReply(h *wire.Header) bool {
	return h.Flags&(wire.FlagMore|wire.FlagError) != wire.FlagMore
}

// isEnd reports whether a block does nothing but end what it regards.
func isEnd(h *wire.Header) bool {
	const end = wire.FlagLast | wire.FlagError
	return h.InReplyTo == 0 && h.Flags&end == end
}

// regarding routes what has in-regards-to: rows three and four (D4).
func (r *Router[A, C, R]) regarding(now time.Time, key Key, h *wire.Header, payload []byte, held *Block, out []Effect[A, C, R]) []Effect[A, C, R] {
	c := r.convs[key.Side][key.ID]
	if c == nil {
		return r.regardingNone(now, key, h, payload, held, out)
	}
	if c.ended {
		return drop(out, CrossedEnd)
	}
	if h.Credit != 0 && c.out.raise(h.Credit) {
		out = append(out, Effect[A, C, R]{Kind: MoreCredit, Key: key, Conv: c.owner})
	}
	switch {
	case h.Type == 0:
		return out
	case isEnd(h):
		r.end(c)
		return append(out, Effect[A, C, R]{Kind: PeerEnded, Key: key, Conv: c.owner, Held: held})
	}
	return r.deliver(c, h, payload, held, out)
}

// regardingNone routes what regards no conversation that is there.
func (r *Router[A, C, R]) regardingNone(now time.Time, key Key, h *wire.Header, payload []byte, held *Block, out []Effect[A, C, R]) []Effect[A, C, R] {
	if key.Side == Theirs {
		if q, live := r.requests[key.ID]; live && q.bound {
			if !isEnd(h) {
				return drop(out, MisplacedRegards)
			}
			return append(out, Effect[A, C, R]{Kind: PeerCanceled, ID: key.ID, Req: q.owner, Held: held})
		}
	}
	switch {
	case r.recent[key.Side].has(key.ID):
		return drop(out, CrossedEnd)
	case key.Side == Theirs:
		return r.hold(now, key, h, payload, out)
	case isEnd(h) || h.Type == 0:
		return drop(out, NoConversation) // telling would only be answered in kind
	}
	return r.tell(now, key, NoConversation, out)
}

// deliver hands a message to a conversation, charges it, and ends the
// conversation if it is the last.
func (r *Router[A, C, R]) deliver(c *conversation[A, C], h *wire.Header, payload []byte, held *Block, out []Effect[A, C, R]) []Effect[A, C, R] {
	cost := Cost(len(payload))
	if !c.in.accept(cost, r.limits.Window) {
		return r.violate(c, OverCredit, "sent more than was granted", out)
	}
	if r.queuedBytes+cost > uint64(r.limits.QueuedBytes) {
		return r.violate(c, TooMuchQueued, "too much queued", out)
	}
	c.queued += cost
	r.queuedBytes += cost

	a, asked := r.asks[h.InReplyTo]
	switch {
	case h.InReplyTo != 0 && asked && a.conv != c:
		out = drop(out, ForeignReply) // T11
		if credit := r.consume(c, cost); credit != 0 {
			out = append(out, Effect[A, C, R]{Kind: Grant, Key: c.key, Credit: credit})
		}
	case h.InReplyTo != 0 && asked && !a.begin:
		last := lastReply(h)
		if last {
			r.freeAsk(h.InReplyTo, a)
		}
		out = append(out, Effect[A, C, R]{Kind: ReplyIn, ID: h.InReplyTo, Key: c.key, Conv: c.owner, Ask: a.owner, Last: last, Held: held})
	default:
		if asked && h.InReplyTo != 0 {
			if lastReply(h) {
				r.freeAsk(h.InReplyTo, a)
			}
			if h.Flags&wire.FlagError != 0 {
				// The begin was refused: there is no conversation.
				r.consume(c, cost)
				r.end(c)
				return append(out, Effect[A, C, R]{Kind: PeerEnded, Key: c.key, Conv: c.owner, Held: held})
			}
		}
		out = append(out, Effect[A, C, R]{Kind: Message, ID: h.ID, Key: c.key, Conv: c.owner, Held: held})
	}
	if h.Flags&wire.FlagLast != 0 {
		r.end(c)
		out = append(out, Effect[A, C, R]{Kind: PeerEnded, Key: c.key, Conv: c.owner, Held: held})
	}
	return out
}

func (r *Router[A, C, R]) violate(c *conversation[A, C], reason Reason, text string, out []Effect[A, C, R]) []Effect[A, C, R] {
	r.end(c)
	return append(out,
		Effect[A, C, R]{Kind: Drop, Reason: reason},
		Effect[A, C, R]{Kind: Violated, Key: c.key, Conv: c.owner, Code: wire.ResourceExhausted, Text: text})
}

func drop[A, C, R any](out []Effect[A, C, R], reason Reason) []Effect[A, C, R] {
	return append(out, Effect[A, C, R]{Kind: Drop, Reason: reason})
}
