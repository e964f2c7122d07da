package dispatch

import (
	"errors"
	"runtime/debug"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/dispatch/internal/router"
	"parley/wire"
)

// request is a request or one-way message of the peer's, queued or running.
type request struct {
	s       *session
	h       *handler
	id      uint64 // 0 for a one-way message: nothing is told about it
	cost    uint64
	payload []byte
	ctx     handlerContext
}

func newRequest(s *session, h *wire.Header, payload []byte, received time.Time) *request {
	var service uint32
	if h.Regards == wire.RegardsService {
		service = uint32(h.RegardsID)
	}
	q := &request{
		s: s, h: s.d.handlers.find(service, h.Type), id: h.ID, payload: payload, cost: router.Cost(len(payload)),
		ctx: handlerContext{session: s.ctx, info: infoOf(s, h, received)},
	}
	if h.Flags&wire.FlagOneWay != 0 {
		q.id = 0
	}
	return q
}

// start has the handler run on the pool. The caller holds the session.
func (q *request) start() {
	if err := q.s.d.system.Go(q.run); err != nil {
		q.s.r.Done(q.id, q.cost)
		q.ctx.cancel(nil)
		if q.id != 0 {
			q.s.outbox.reply(q.id, wire.Unavailable, errClosed.Error())
		}
	}
}

// run calls the handler and sends its answer.
func (q *request) run() {
	returned := false
	defer func() {
		if !returned { // a panic, or runtime.Goexit
			value := recover()
			if value == nil {
				value = "runtime.Goexit"
			}
			q.s.d.panics.Add(1)
			q.s.d.config.Logger.Error("panic in a handler", "type", q.h.kind.name, "peer", q.s.peer.Short(),
				"panic", value, "stack", string(debug.Stack()))
			q.refuse(wire.Internal, "the handler failed")
		}
		q.ctx.cancel(nil)
		q.s.mu.Lock()
		q.s.r.Done(q.id, q.cost)
		q.s.mu.Unlock()
	}()
	if q.h.stream != nil {
		q.runStream()
	} else {
		q.answer(q.h.serve(&q.ctx, q.payload))
	}
	returned = true
}

// answer sends what the handler returned.
func (q *request) answer(m proto.Message, err error) {
	if err != nil {
		q.fail(err)
		return
	}
	if q.id == 0 {
		return
	}
	if !isMessage(m) {
		q.s.d.config.Logger.Error("a handler returned neither a reply nor an error", "type", q.h.kind.name, "peer", q.s.peer.Short())
		q.fail(errNoReply)
		return
	}
	if err := q.send(q.h.reply, m, 0); err != nil {
		q.fail(err) // it cannot be encoded, or is too large for the transport
	}
}

// send sends a reply of the given kind.
func (q *request) send(k *kind, m proto.Message, flags wire.Flags) error {
	size := proto.Size(m)
	h := wire.Header{Type: k.number, ID: q.s.next(), InReplyTo: q.id, Flags: flags}
	buf, err := encode(&h, m, size)
	if err != nil {
		return err
	}
	defer release(buf)
	if err := q.s.d.transport.Send(q.s.sending, q.s.peer, q.s.id, q.id, *buf); err != nil {
		failure, _ := sendFailure("reply", q.s.peer, err, len(*buf))
		return failure
	}
	return nil
}

// fail tells the peer of a handler's error and the log of what the peer is not
// told.
func (q *request) fail(err error) {
	if q.s.sending.Err() != nil {
		return // the session is down, which is told elsewhere
	}
	code, text, whole := statusFor(err)
	bad, malformed := errors.AsType[*payloadError](err)
	switch {
	case malformed:
		q.s.d.drop(router.BadPayload)
		code, text = wire.InvalidArgument, bad.text()
	case tooLarge(err):
		code, text = wire.ResourceExhausted, "the reply is over the limit for a message"
		q.s.d.config.Logger.Warn("a reply is too large", "type", q.h.kind.name, "peer", q.s.peer.Short(), "error", err)
	case !whole:
		q.s.d.config.Logger.Warn("a handler failed", "type", q.h.kind.name, "peer", q.s.peer.Short(), "error", err)
	}
	q.refuse(code, text)
}

// refuse sends a status in reply, unless nobody waits for one.
func (q *request) refuse(code wire.Code, text string) {
	if q.id == 0 || q.ctx.givenUp() {
		return
	}
	h := wire.Header{Type: statusType, ID: q.s.next(), InReplyTo: q.id, Flags: wire.FlagError | wire.FlagLast}
	q.s.send(&h, q.id, status(code, text))
}
