package dispatch_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

// request makes a block of a message that nobody handles.
func request(t *testing.T, id uint64) []byte {
	t.Helper()
	h := wire.Header{Type: wire.TypeOf("nobody.knows.This"), ID: id}
	b, err := h.Append(nil, 0)
	must(t, err)
	return b
}

// A transport that takes nothing must not make this side hold more and more, nor
// hold up its reader.
func TestStatusesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, dispatch.Config{}, dispatch.Config{Limits: dispatch.Limits{MaxStatuses: 10}})
		full := make(chan struct{})
		sent := 0
		b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { <-full; sent++; return dispatchtest.Deliver })
		for i := range uint64(100) {
			must(t, b.end.Inject(a.id, i, request(t, i+1)))
		}
		if n := b.Stats().Dropped["outbox-full"]; n != 90 {
			t.Errorf("dropped %d", n)
		}
		close(full)
		synctest.Wait()
		if sent != 10 {
			t.Errorf("sent %d", sent)
		}
		if n := b.Stats().Dropped["unknown-type"]; n != 100 {
			t.Errorf("counted %d", n)
		}
	})
}

// However many messages are consumed while the transport is stuck, one grant goes
// out for each conversation, with the newest offset.
func TestGrantsCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		defer func() {
			if log.Len() > 0 {
				t.Errorf("logged %s", log.String())
			}
		}()
		a, b := pair(t, dispatch.Config{}, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		kb := newTalk()
		accept(t, b, kb, nil)
		c := open(t, a, b, newTalk())
		full := make(chan struct{})
		var grants []uint64
		b.end.Intercept(func(blk dispatchtest.Block) dispatchtest.Action {
			<-full
			h, _, err := blk.Header()
			must(t, err)
			if h.Type == 0 {
				grants = append(grants, h.Credit)
			}
			return dispatchtest.Deliver
		})
		for range dispatch.Window/1024 - 1 {
			must(t, c.Send(kilo()))
		}
		synctest.Wait()
		close(full)
		synctest.Wait()
		if len(grants) == 0 || len(grants) > 2 {
			t.Errorf("grants %v", grants)
		}
		for range 2 * dispatch.Window / 1024 {
			must(t, c.Send(kilo()))
		}
		c.End()
		<-kb.ends
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}
