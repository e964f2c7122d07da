package dispatch

import (
	"sync"

	"google.golang.org/protobuf/proto"

	"parley/dispatch/internal/router"
	"parley/wire"
)

// outbox holds the blocks that arise where nothing may block: on the
// transport's reader and at the end of a conversation. One goroutine, there only
// while there is something to send, hands them to the transport.
//
// It is bounded: statuses by Limits.MaxStatuses; credit to one entry for each
// live conversation, because a later grant replaces an earlier; ends to one for
// each conversation, whose slot in the router is kept until its end has gone out.
type outbox struct {
	s *session

	mu       sync.Mutex
	queue    []outgoing
	statuses int
	grants   map[router.Key]uint64
	draining bool
}

type outgoing struct {
	header wire.Header
	lane   uint64
	status bool // counts against MaxStatuses
	code   wire.Code
	text   string
	ends   *Conversation // to be released when sent
}

func (o *outbox) init(s *session) {
	o.s = s
	o.grants = make(map[router.Key]uint64)
}

// reply queues a status in reply to a message of the peer's. All methods are
// called with the session locked.
func (o *outbox) reply(id uint64, code wire.Code, text string) {
	o.status(outgoing{
		header: wire.Header{InReplyTo: id, Flags: wire.FlagError | wire.FlagLast},
		lane:   id, code: code, text: text,
	})
}

// tell queues a status that ends what key names, a conversation that is not in
// the router, or a request of ours.
func (o *outbox) tell(key router.Key, code wire.Code, text string) {
	o.status(ending(key, code, text))
}

// end queues a status that ends c, which the caller has ended in the router.
func (o *outbox) end(c *Conversation, code wire.Code, text string) {
	if o.s.closed {
		return
	}
	m := ending(c.key, code, text)
	m.ends = c
	c.left.Add(1)
	o.push(m)
}

func ending(key router.Key, code wire.Code, text string) outgoing {
	return outgoing{
		header: wire.Header{Regards: key.Regards(), RegardsID: key.ID, Flags: wire.FlagError | wire.FlagLast},
		lane:   key.ID, code: code, text: text,
	}
}

func (o *outbox) status(m outgoing) {
	m.status = true
	if o.s.closed {
		return
	}
	if !o.push(m) {
		o.s.d.drop(router.OutboxFull)
	}
}

// grant queues credit.
func (o *outbox) grant(key router.Key, credit uint64) {
	if o.s.closed {
		return
	}
	o.mu.Lock()
	_, queued := o.grants[key]
	o.grants[key] = credit
	o.mu.Unlock()
	if !queued {
		o.push(outgoing{header: wire.Header{Regards: key.Regards(), RegardsID: key.ID}, lane: key.ID})
	}
}

// push queues m and reports whether there was room.
func (o *outbox) push(m outgoing) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m.status {
		if o.statuses >= o.s.d.config.Limits.MaxStatuses {
			return false
		}
		o.statuses++
	}
	o.queue = append(o.queue, m)
	if !o.draining {
		o.draining = true
		o.s.d.work.Go(o.drain)
	}
	return true
}

// drain sends what is queued, and ends when nothing is.
func (o *outbox) drain() {
	for {
		o.mu.Lock()
		batch := o.queue
		o.queue = nil
		if len(batch) == 0 {
			o.draining = false
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
		for i := range batch {
			o.send(&batch[i])
		}
	}
}

func (o *outbox) send(m *outgoing) {
	s := o.s
	if m.header.Flags == 0 {
		key := router.Key{Side: router.Ours, ID: m.header.RegardsID}
		if m.header.Regards == wire.RegardsReceiver {
			key.Side = router.Theirs
		}
		o.mu.Lock()
		m.header.Credit = o.grants[key]
		delete(o.grants, key)
		o.mu.Unlock()
		s.send(&m.header, m.lane, nil)
		return
	}
	m.header.Type = statusType
	m.header.ID = s.next()
	s.send(&m.header, m.lane, status(m.code, m.text))
	if m.status {
		o.mu.Lock()
		o.statuses--
		o.mu.Unlock()
	}
	if m.ends != nil {
		m.ends.release()
	}
}

// send hands a block to the transport from a goroutine that may wait. An error
// means that the session is going down, of which its down tells.
func (s *session) send(h *wire.Header, lane uint64, m proto.Message) {
	size := 0
	if m != nil {
		size = proto.Size(m)
	}
	buf, err := encode(h, m, size)
	if err != nil {
		s.d.config.Logger.Error("cannot encode", "error", err)
		return
	}
	defer release(buf)
	_ = s.d.transport.Send(s.sending, s.peer, s.id, lane, *buf)
}

// cancel queues word that a request of ours is given up: Canceled, or
// DeadlineExceeded.
func (o *outbox) cancel(id uint64, code wire.Code) {
	o.tell(router.Key{Side: router.Ours, ID: id}, code, "")
}
