package socket

import (
	"context"
	"errors"
	"time"
)

// sessionEnv is the streamEnv of a Session.
type sessionEnv struct{ *Session }

var _ streamEnv = sessionEnv{}

func newStreams(s *Session) *streams {
	cfg := &s.host.cfg
	return &streams{
		env: sessionEnv{s}, session: s, self: s.host.id, peer: s.peer, life: s.life,
		limit: cfg.MaxStreams, buffer: cfg.StreamBuffer, largest: cfg.MaxBlock, memory: &s.largeMemory, replay: &s.replay, pace: s.pace,
		pick: s.place,
	}
}

func (e sessionEnv) ackSoon(bytes int) { e.acks.stream(bytes) }

func (e sessionEnv) ackNow() { e.acks.streamNow() }

func (e sessionEnv) incoming(x *Stream) bool {
	select {
	case e.Session.incoming <- x:
		return true
	default:
		return false
	}
}

func (e sessionEnv) awaitReceiver(ctx context.Context) error { return e.host.awaitReceiver(ctx) }

func (e sessionEnv) deliver(ctx context.Context, lane, number uint64, block []byte) error {
	return e.deliverAfter(ctx, e.inLane(lane), number, func() {
		e.hand(block)
		e.counters.largeReceived.add(1, uint64(len(block)))
	})
}

// broken must not wait for the loop, which may be the caller. The session's cause has one of this package's types.
func (e sessionEnv) broken(err error) {
	if mine, ok := errors.AsType[*Error](err); !ok || mine.Code != Protocol {
		err = violation(e.peer, err.Error())
	}
	e.spawn(func() { e.post(event{kind: evLost, err: err}) })
}

// openOn opens a stream on a connection and writes its preamble.
func (s *Session) openOn(ctx context.Context, on *link, head []byte, p priority) (stream, error) {
	st, err := on.open(ctx)
	if err != nil {
		return nil, err
	}
	st.setPriority(p)
	if _, err := st.Write(head); err != nil {
		refuse(st, resetMoved)
		return nil, err
	}
	return st, nil
}

func (e sessionEnv) awaitReplay(expired <-chan struct{}) {
	if !e.replay.full() {
		e.host.giveUpOne(e.Session, replayFull)
	}
	t := time.NewTimer(replayPoll)
	defer t.Stop()
	select {
	case <-t.C:
	case <-expired:
	case <-e.life.Done():
	}
}
