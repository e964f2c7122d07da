package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"parley/actor"
	"parley/dispatch/internal/router"
	"parley/peer"
	"parley/wire"
)

type (
	route  = router.Router[asker, *Conversation, *request]
	effect = router.Effect[asker, *Conversation, *request]
)

// asker waits for a reply. Its methods are called with the session locked and
// must not block.
type asker interface {
	// reply hands over a reply. Enough says that the peer need not send those that
	// were to follow.
	reply(a arrival) (enough bool)
	// lost says that none will come.
	lost(why error)
}

// session joins the router of one session to the world: it feeds it what happens
// and carries out what it decides.
type session struct {
	d      *Dispatcher
	peer   peer.ID
	id     uint64 // our incarnation
	remote uint64 // the peer's

	// ctx is that of request handlers: it ends when the session does or the
	// Dispatcher closes. sending ends a little later, so that the peer can
	// still be told.
	ctx         context.Context
	cancel      context.CancelCauseFunc
	sending     context.Context
	stopSending context.CancelFunc

	// talking is that of conversations: it outlasts the session until those have been
	// handled that the peer ended normally.
	talking context.Context
	hush    context.CancelCauseFunc

	outbox outbox
	slots  chan struct{} // holds one for each request of ours that is under way

	mu      sync.Mutex
	r       *route
	over    *Error // why the session is down
	closed  bool   // nothing more goes into the outbox
	left    uint64 // what it counts in Dispatcher.left once it is over
	timer   *time.Timer
	timerAt time.Time
	scratch []effect
}

func newSession(d *Dispatcher, p peer.ID, id, remote uint64) *session {
	s := &session{d: d, slots: make(chan struct{}, MaxConcurrentAsks), peer: p, id: id, remote: remote}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.talking, s.hush = context.WithCancelCause(d.ctx)
	s.sending, s.stopSending = context.WithCancel(context.Background())
	s.r = router.New[asker, *Conversation, *request](d.config.Limits.router(), &d.handlers)
	s.outbox.init(s)
	return s
}

// arrive takes a block from the transport. It does not block.
func (s *session) arrive(block []byte) {
	var h wire.Header
	payload, err := h.Parse(block)
	if err != nil {
		s.d.drop(router.BadHeader)
		return
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apply(now, &h, payload, s.r.Arrive(now, &h, payload, s.scratch[:0]))
}

// apply carries out effects, in order, and those that follow from them. The block
// that was routed is h and payload. The caller holds mu.
func (s *session) apply(now time.Time, h *wire.Header, payload []byte, out []effect) {
	for i := 0; i < len(out); i++ {
		e := out[i]
		h, payload, at := h, payload, now
		if e.Held != nil {
			h, payload, at = &e.Held.Header, e.Held.Payload, e.Held.Received
		}
		switch e.Kind {
		case router.Drop:
			s.d.drop(e.Reason)
		case router.Refuse:
			s.d.drop(e.Reason)
			s.outbox.reply(e.ID, e.Code, e.Text)
		case router.Tell:
			s.outbox.tell(e.Key, e.Code, e.Text)
		case router.Grant:
			s.outbox.grant(e.Key, e.Credit)
		case router.Request, router.Service:
			q := newRequest(s, h, payload, at)
			out = s.r.BindRequest(now, e.ID, q, out)
			q.start()
		case router.OneWay:
			newRequest(s, h, payload, at).start()
		case router.Begin:
			out = s.begin(now, h, payload, out)
		case router.Reply:
			if e.Ask.reply(arrival{number: h.Type, flags: h.Flags, payload: payload, last: e.Last}) && s.r.Forget(e.ID) {
				s.outbox.cancel(e.ID, wire.Canceled)
			}
		case router.Message:
			e.Conv.tell(s.newDelivery(h, payload, at))
		case router.ReplyIn:
			m := s.newDelivery(h, payload, at)
			m.answers = e.Ask.(*question)
			e.Conv.tell(m)
		case router.PeerEnded:
			e.Conv.peerEnded(h, payload)
		case router.Violated:
			e.Conv.violated(e.Code, e.Text)
		case router.PeerCanceled:
			said, stated := errors.AsType[*PeerError](parseStatus(s.peer, payload))
			if !stated { // it is not so wrong as to go on for it
				said = &PeerError{Code: wire.Canceled, Peer: s.peer}
			}
			e.Req.ctx.giveUp(said)
		case router.MoreCredit:
			e.Conv.moreCredit()
		case router.AskLost:
			e.Ask.lost(s.over)
		case router.Lost:
			e.Conv.lost(s.over.during("conversation"))
		case router.RequestLost:
			e.Req.ctx.cancel(s.over)
		}
	}
	clear(out)
	s.scratch = out[:0]
	s.setTimer(now)
}

// begin starts the conversation that a block begins. The caller holds mu.
func (s *session) begin(now time.Time, h *wire.Header, payload []byte, out []effect) []effect {
	handler := s.d.handlers.find(0, h.Type)
	c := newConversation(s, nil, handler.state)
	c.key = router.Key{Side: router.Theirs, ID: h.ID}
	ref, err := s.d.system.Spawn(process{c}, actor.Options{OnEnd: c.gone})
	if err != nil {
		s.r.End(c.key)
		s.gone(c.key)
		s.outbox.tell(c.key, wire.Unavailable, errClosed.Error())
		return out
	}
	c.ref = ref
	m := s.newDelivery(h, payload, now)
	m.begins = handler
	c.tell(m)
	return s.r.BindConversation(now, h.ID, c, out)
}

// setTimer has tick called when the router wants it. The caller holds mu.
func (s *session) setTimer(now time.Time) {
	at := s.r.Timer()
	switch {
	case at.Equal(s.timerAt):
	case at.IsZero():
		s.timer.Stop()
	case s.timer == nil:
		s.timer = time.AfterFunc(at.Sub(now), s.tick)
	default:
		s.timer.Reset(at.Sub(now))
	}
	s.timerAt = at
}

func (s *session) tick() {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timerAt = time.Time{}
	s.apply(now, nil, nil, s.r.Tick(now, s.scratch[:0]))
}

// consumed says that a message of a conversation is done with.
func (s *session) consumed(key router.Key, cost uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.r.Consumed(key, cost, s.scratch[:0]) {
		s.outbox.grant(e.Key, e.Credit)
	}
}

// shut keeps anything more from going out.
func (s *session) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// down tells all who wait that the session is over.
func (s *session) down(cause error) {
	s.mu.Lock()
	if s.over == nil {
		s.closed = true
		s.over = unavailable("session", s.peer, cause)
		s.apply(time.Now(), nil, nil, s.r.Down(s.scratch[:0]))
		s.leave()
	}
	s.mu.Unlock()
	s.cancel(s.over)
	s.stopSending()
}

// leftCost is what a conversation that outlasts its session counts in bytes besides
// its messages: about what it occupies.
const leftCost = 4 << 10

// leave counts what outlasts the session, all sessions together: a peer that comes
// and goes, under however many keys, must not pile it up. If there is too much
// already, the rest is discarded. The caller holds mu.
func (s *session) leave() {
	z := s.r.Sizes()
	if z.Conversations == 0 {
		s.hush(nil)
		return
	}
	s.left = z.QueuedBytes + uint64(z.Conversations)*leftCost
	if s.d.left.Add(s.left) > uint64(s.d.config.Limits.MaxQueuedBytes) {
		s.hush(tooMany("conversation", s.peer, "messages outlast their sessions"))
	}
}

// gone says that a conversation is gone. The caller holds mu.
func (s *session) gone(key router.Key) {
	s.r.Gone(key)
	if s.left > 0 && s.r.Sizes().Conversations == 0 {
		s.hush(nil)
		s.d.left.Add(-s.left)
		s.left = 0
	}
}

func (s *session) sizes() router.Sizes {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.Sizes()
}

// next numbers a message that waits for no reply.
func (s *session) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.Next()
}
