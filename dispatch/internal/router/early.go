package router

import (
	"time"

	"parley/wire"
)

// hold keeps a block that regards something the peer has not yet begun: a begin
// too large for a lane travels on a stream of its own and may be overtaken.
func (r *Router[A, C, R]) hold(now time.Time, key Key, h *wire.Header, payload []byte, out []Effect[A, C, R]) []Effect[A, C, R] {
	cost := int(Cost(len(payload)))
	if len(r.early) >= r.limits.EarlyBlocks || r.earlyBytes+cost > r.limits.EarlyBytes {
		// Without this block the conversation has a hole: it must not begin.
		out = r.discardEarly(key.ID, EarlyLimit, out)
		if isEnd(h) {
			r.recent[Theirs].add(key.ID)
			return drop(out, EarlyLimit)
		}
		return r.tell(now, key, EarlyLimit, out)
	}
	if isEnd(h) && r.tooManyEnds(key.ID) {
		r.recent[Theirs].add(key.ID)
		return drop(out, EarlyLimit)
	}
	r.early = append(r.early, &Block{Header: *h, Payload: payload, Received: now})
	r.earlyBytes += cost
	return out
}

// endShare is which part of the held blocks may be ends with nothing before them.
// Most of those are late, for requests that were answered too long ago to be
// remembered: they must not take the room of blocks whose begin is still to come.
// One that finds no room does its work all the same: what it ends may not begin.
const endShare = 4

// tooManyEnds reports whether there is no room for an end of id.
func (r *Router[A, C, R]) tooManyEnds(id uint64) bool {
	ends := 0
	for _, b := range r.early {
		if b.Header.RegardsID == id {
			return false // it ends what is held
		}
		if isEnd(&b.Header) {
			ends++
		}
	}
	return ends >= max(1, r.limits.EarlyBlocks/endShare)
}

// release routes the held blocks that regard id, in the order they came.
func (r *Router[A, C, R]) release(now time.Time, id uint64, out []Effect[A, C, R]) []Effect[A, C, R] {
	for _, b := range r.takeEarly(id) {
		out = r.arrive(now, &b.Header, b.Payload, b, out)
	}
	return out
}

func (r *Router[A, C, R]) discardEarly(id uint64, reason Reason, out []Effect[A, C, R]) []Effect[A, C, R] {
	for range r.takeEarly(id) {
		out = drop(out, reason)
	}
	return out
}

func (r *Router[A, C, R]) takeEarly(id uint64) (taken []*Block) {
	if len(r.early) == 0 {
		return nil
	}
	kept := r.early[:0]
	for _, b := range r.early {
		if b.Header.RegardsID == id {
			taken = append(taken, b)
			r.earlyBytes -= int(Cost(len(b.Payload)))
		} else {
			kept = append(kept, b)
		}
	}
	clear(r.early[len(kept):])
	r.early = kept
	return taken
}

// Timer returns when Tick is next wanted; zero means not at all.
func (r *Router[A, C, R]) Timer() time.Time {
	if len(r.early) == 0 {
		return time.Time{}
	}
	return r.early[0].Received.Add(r.limits.EarlyWait)
}

// Tick gives up on blocks whose begin has not come in time.
func (r *Router[A, C, R]) Tick(now time.Time, out []Effect[A, C, R]) []Effect[A, C, R] {
	for len(r.early) > 0 && !now.Before(r.Timer()) {
		id := r.early[0].Header.RegardsID
		quiet := true
		for _, b := range r.takeEarly(id) {
			quiet = quiet && (isEnd(&b.Header) || b.Header.Type == 0)
			out = drop(out, EarlyExpired)
		}
		if quiet {
			r.recent[Theirs].add(id)
			continue
		}
		out = r.tell(now, Key{Theirs, id}, EarlyExpired, out)
	}
	return out
}

// tell tells the peer, once, that what it regards is not there.
func (r *Router[A, C, R]) tell(now time.Time, key Key, reason Reason, out []Effect[A, C, R]) []Effect[A, C, R] {
	if reason != EarlyExpired { // whose blocks are counted already
		out = drop(out, reason)
	}
	r.recent[key.Side].add(key.ID) // once: what follows is dropped in silence
	if since := now.Sub(r.tellFrom); since >= r.limits.TellInterval {
		if n := int64(since / r.limits.TellInterval); n >= int64(r.limits.TellBurst-r.tells) {
			r.tells, r.tellFrom = r.limits.TellBurst, now
		} else {
			r.tells += int(n)
			r.tellFrom = now.Add(-since % r.limits.TellInterval)
		}
	}
	if r.tells == 0 {
		return drop(out, ToldEnough)
	}
	r.tells--
	return append(out, Effect[A, C, R]{Kind: Tell, Key: key, Code: wire.NotFound, Text: "no such conversation"})
}
