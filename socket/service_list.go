package socket

import (
	"context"
	"errors"
	"io"
	"time"

	"parley/socket/record"
	"parley/wire"
)

// maxAsking is how many lists of services a peer may be in the middle of reading; it is told Limit if it asks for
// more. They are held until it has them.
const maxAsking = 4

// Services asks the peer which services it offers (B10): those that it lists and lets us use, in the order of
// their names and then of their protocols, at most 1,024. What they say of themselves is the peer's word. It
// waits until ctx ends, also while the session has no connection. The errors are those of OpenService, and
// Protocol if the answer makes no sense.
func (s *Session) Services(ctx context.Context) ([]Service, error) {
	const op = "ask for services"
	x, err := s.OpenService(ctx, ownServices, listProtocol)
	if err != nil {
		return nil, err
	}
	defer x.Reset(0) // does nothing to a list that was read to its end
	_ = x.CloseWrite()
	stop := context.AfterFunc(ctx, func() { _ = x.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	list, err := readServices(x)
	switch {
	case err == nil:
		return list, nil
	case ctx.Err() != nil:
		return nil, ctxError(ctx, op, s.peer)
	case CodeOf(err) != Internal: // one of the stream's
		return nil, err
	}
	return nil, &Error{Code: Protocol, Op: op, Peer: s.peer, Err: err}
}

var errTooMany = errors.New("more services than there may be")

func readServices(r io.Reader) (list []Service, err error) {
	records := record.NewReader(r, record.Limits{Record: wire.MaxService})
	var b []byte
	for {
		if b, err = records.ReadRecord(b[:0]); err != nil {
			if errors.Is(err, io.EOF) {
				return list, nil
			}
			return nil, err
		}
		if len(list) == wire.MaxServices {
			return nil, errTooMany
		}
		m, err := wire.ParseService(b)
		if err != nil {
			return nil, err
		}
		list = append(list, Service{Name: m.GetName(), Protocol: m.GetProtocol(), Description: m.GetDescription()})
	}
}

// tell answers a peer that asks for the list.
func (v *services) tell(s *Session, x *Stream) (refusal resetCode) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.asking[s] == maxAsking {
		return resetLimit
	}
	answer := func() {
		defer v.told(s)
		x.take()
		if v.write(x) != nil {
			x.Reset(0)
		}
		_ = x.Close()
		x.awaitOver() // until then it is held
	}
	if v.asking == nil {
		v.asking = make(map[*Session]int)
	}
	v.asking[s]++
	if !x.t.spawn(answer) {
		v.forgetAsking(s)
		return resetClosed
	}
	return 0
}

// awaitOver waits until the peer needs nothing more of what we write, or the stream has ended.
func (x *Stream) awaitOver() {
	for {
		x.mu.Lock()
		over, changed := x.out.over || x.out.reset != 0, x.out.changed.wait()
		x.mu.Unlock()
		if over {
			return
		}
		<-changed
	}
}

func (v *services) told(s *Session) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forgetAsking(s)
}

// forgetAsking is told with v.mu held.
func (v *services) forgetAsking(s *Session) {
	if v.asking[s]--; v.asking[s] == 0 {
		delete(v.asking, s)
	}
}

// write writes what the peer may know of.
func (v *services) write(x *Stream) error {
	w := record.NewWriter(x)
	for _, l := range v.sorted() {
		if !l.rules.Listed || !l.admits(x.t.peer) {
			continue
		}
		b, err := wire.AppendService(nil, l.service.entry())
		if err == nil {
			err = w.WriteRecord(b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
