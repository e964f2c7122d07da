package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/peer"
	"parley/wire"
)

func length(_ context.Context, m text) (number, error) { return num(int64(len(m.GetValue()))), nil }

func TestAsk(t *testing.T) { // D10
	a, b := pair(t)
	must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, m text) (number, error) {
		info, ok := dispatch.InfoOf(ctx)
		if dispatch.PeerOf(ctx) != a.id || !ok || info.Peer() != a.id {
			t.Errorf("PeerOf = %v, info %+v", dispatch.PeerOf(ctx), info)
		}
		if info.SendTime.IsZero() || time.Since(info.ReceiveTime) < 0 { // B12
			t.Errorf("times: %+v", info)
		}
		return length(ctx, m)
	}))
	n, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("hello"))
	must(t, err)
	if n.GetValue() != 5 {
		t.Errorf("got %v", n)
	}
	wantNothingHeld(t, a, b)
}

func TestAskBothWaysAtOnce(t *testing.T) { // D6: both use the same numbers
	a, b := pair(t)
	for _, s := range []side{a, b} {
		must(t, dispatch.Handle(s.Dispatcher, length))
	}
	errs := make(chan error)
	const n = 200
	for i := range n {
		from, to := a, b
		if i%2 == 1 {
			from, to = b, a
		}
		go func() {
			got, err := dispatch.Ask[number](t.Context(), from.Dispatcher, to.id, say(strings.Repeat("x", i)))
			if err == nil && got.GetValue() != int64(i) {
				err = fmt.Errorf("got %v for %d", got, i)
			}
			errs <- err
		}()
	}
	for range n {
		must(t, <-errs)
	}
	wantNothingHeld(t, a, b)
}

func TestAskErrors(t *testing.T) {
	a, b := pair(t)
	var log strings.Builder
	c := newSide(t, dispatchtest.New(dispatchtest.ID(3)), dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	dispatchtest.Connect(a.end, c.end)
	must(t, dispatch.Handle(c.Dispatcher, func(_ context.Context, m text) (number, error) {
		switch m.GetValue() {
		case "status":
			return nil, fmt.Errorf("wrapped: %w", dispatch.Errorf(wire.NotFound, "no %s", "unicorn"))
		case "plain":
			return nil, errors.New("password is hunter2")
		case "asked elsewhere":
			return nil, &dispatch.PeerError{Code: wire.PermissionDenied, Message: "secret"}
		case "canceled":
			return nil, context.Canceled
		case "panic":
			panic("secret panic")
		case "exit":
			runtime.Goexit()
		}
		return num(1), nil
	}))
	must(t, dispatch.HandleOneWay(b.Dispatcher, func(context.Context, flag) {}))
	for _, tc := range []struct {
		name, say string
		code      wire.Code
		message   string
	}{
		{"its status", "status", wire.NotFound, "no unicorn"},
		{"a plain error tells nothing", "plain", wire.Unknown, "the handler failed"},
		{"another peer's word is not passed on", "asked elsewhere", wire.Unknown, "the handler failed"},
		{"a context's error", "canceled", wire.Canceled, "canceled"},
		{"a panic (A3)", "panic", wire.Internal, "the handler failed"},
		{"Goexit (A3)", "exit", wire.Internal, "the handler failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, c.id, say(tc.say))
			wantCode(t, err, tc.code, true)
			var said *dispatch.PeerError
			if errors.As(err, &said); said.Message != tc.message || said.Peer != c.id {
				t.Errorf("%+v", said)
			}
		})
	}
	t.Run("the other handlers go on", func(t *testing.T) { // A3
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, c.id, say("x"))
		must(t, err)
		if p := c.Stats().Panics; p != 2 {
			t.Errorf("%d panics", p)
		}
	})
	t.Run("unknown type", func(t *testing.T) { // D2
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("hello"))
		wantCode(t, err, wire.Unimplemented, true)
	})
	t.Run("one-way type", func(t *testing.T) {
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, flag(nil))
		wantCode(t, err, wire.Unimplemented, true)
	})
	t.Run("unknown peer", func(t *testing.T) {
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, dispatchtest.ID(9), say("hello"))
		wantCode(t, err, wire.Unavailable, false)
	})
	t.Run("reply of another type", func(t *testing.T) {
		_, err := dispatch.Ask[flag](t.Context(), a.Dispatcher, c.id, say("x"))
		wantCode(t, err, wire.Internal, false)
	})
	t.Run("no message", func(t *testing.T) {
		_, err := dispatch.Ask[number, proto.Message](t.Context(), a.Dispatcher, c.id, nil)
		wantCode(t, err, wire.InvalidArgument, false)
	})
	t.Run("no concrete reply type", func(t *testing.T) {
		_, err := dispatch.Ask[proto.Message](t.Context(), a.Dispatcher, c.id, say("x"))
		wantCode(t, err, wire.InvalidArgument, false)
	})
	t.Run("text that is not UTF-8", func(t *testing.T) {
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, c.id, say("\xff"))
		wantCode(t, err, wire.InvalidArgument, false)
	})
	shut(t, c.Dispatcher)
	if !strings.Contains(log.String(), "secret panic") || !strings.Contains(log.String(), "ask_test.go") || !strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log lacks the panic, its stack or the error: %s", log.String())
	}
	wantNothingHeld(t, a, b)
}

func TestBadPayloads(t *testing.T) {
	a, b := pair(t)
	lenient := newSide(t, dispatchtest.New(dispatchtest.ID(3)), dispatch.Config{AllowUnknownFields: true})
	dispatchtest.Connect(a.end, lenient.end)
	for _, s := range []side{b, lenient} {
		must(t, dispatch.Handle(s.Dispatcher, length))
	}
	// The payload of the request is replaced on its way.
	replace := func(payload []byte) {
		a.end.Intercept(func(blk dispatchtest.Block) dispatchtest.Action {
			h, _, err := blk.Header()
			must(t, err)
			blk2, err := h.Append(nil, len(payload))
			must(t, err)
			to := b
			if blk.To == lenient.id {
				to = lenient
			}
			must(t, to.end.Inject(a.id, blk.Lane, append(blk2, payload...)))
			return dispatchtest.Drop
		})
	}
	replace([]byte{0xff})
	_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
	wantCode(t, err, wire.InvalidArgument, true)
	replace([]byte{0x0a, 1, 'x', 0x10, 1}) // field 1 "x", field 2 unknown
	_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
	wantCode(t, err, wire.InvalidArgument, true)
	if n := b.Stats().Dropped["bad-payload"]; n != 2 {
		t.Errorf("counted %d", n)
	}
	_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, lenient.id, say("x"))
	must(t, err)
	must(t, b.end.Inject(a.id, 0, []byte{0xff}))
	if n := b.Stats().Dropped["bad-header"]; n != 1 {
		t.Errorf("counted %d", n)
	}
}

func TestNotify(t *testing.T) { // D2
	a, b := pair(t)
	got := make(chan string, 4)
	must(t, dispatch.HandleOneWay(b.Dispatcher, func(ctx context.Context, m text) { got <- m.GetValue() }))
	must(t, dispatch.Handle(b.Dispatcher, func(context.Context, number) (number, error) { got <- "request"; return num(0), nil }))
	sent := 0
	b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { sent++; return dispatchtest.Deliver })
	bestEffort := false
	a.end.Intercept(func(blk dispatchtest.Block) dispatchtest.Action {
		bestEffort = blk.BestEffort
		return dispatchtest.Deliver
	})
	must(t, dispatch.Notify(t.Context(), a.Dispatcher, b.id, say("reliable")))
	if s := <-got; s != "reliable" || bestEffort {
		t.Errorf("%q, best effort %v", s, bestEffort)
	}
	must(t, dispatch.NotifyBestEffort(t.Context(), a.Dispatcher, b.id, say("maybe")))
	if s := <-got; s != "maybe" || !bestEffort {
		t.Errorf("%q, best effort %v", s, bestEffort)
	}
	must(t, dispatch.Notify(t.Context(), a.Dispatcher, b.id, num(1)))
	<-got
	must(t, dispatch.Notify(t.Context(), a.Dispatcher, b.id, flag(nil))) // nobody handles it
	if n := b.Stats().Dropped["unknown-type"]; n != 1 {
		t.Errorf("counted %d", n)
	}
	shut(t, b.Dispatcher)
	if sent != 0 {
		t.Errorf("%d blocks answered one-way messages", sent)
	}
	wantNothingHeld(t, a, b)
}

func TestServices(t *testing.T) { // D7
	a, b := pair(t)
	must(t, dispatch.HandleService(b.Dispatcher, 7, length))
	must(t, dispatch.HandleService(b.Dispatcher, 8, func(context.Context, text) (number, error) { return num(8), nil }))
	for number7, want := range map[uint32]int64{7: 5, 8: 8} {
		n, err := dispatch.AskService[number](t.Context(), a.Dispatcher, b.id, number7, say("hello"))
		must(t, err)
		if n.GetValue() != want {
			t.Errorf("service %d: %v", number7, n)
		}
	}
	_, err := dispatch.AskService[number](t.Context(), a.Dispatcher, b.id, 9, say("hello"))
	wantCode(t, err, wire.Unimplemented, true)
	_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("hello"))
	wantCode(t, err, wire.Unimplemented, true)
	_, err = dispatch.AskService[number](t.Context(), a.Dispatcher, b.id, 0, say("hello"))
	wantCode(t, err, wire.InvalidArgument, false)
}

func TestDeadlines(t *testing.T) { // D10, C14
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, dispatch.Config{AskTimeout: 7 * time.Second})
		a.end.Intercept(func(blk dispatchtest.Block) dispatchtest.Action {
			if h, _, _ := blk.Header(); h.Flags&wire.FlagError != 0 {
				return dispatchtest.Drop // the handler is to know without being told
			}
			return dispatchtest.Deliver
		})
		ended := make(chan time.Duration, 1)
		start := time.Now()
		must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, m text) (number, error) {
			<-ctx.Done()
			ended <- time.Since(start)
			return nil, ctx.Err()
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := dispatch.Ask[number](ctx, a.Dispatcher, b.id, say("x"))
		// Both ends' clocks strike at once: either may be first to say so.
		if dispatch.CodeOf(err) != wire.DeadlineExceeded {
			t.Errorf("%v", err)
		}
		if d := <-ended; d != 3*time.Second {
			t.Errorf("the handler's context ended after %v", d)
		}
		start = time.Now()
		_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
		if dispatch.CodeOf(err) != wire.DeadlineExceeded {
			t.Errorf("%v", err)
		}
		if d := <-ended; d != 7*time.Second {
			t.Errorf("by default it ended after %v", d)
		}
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestCancelReachesTheHandler(t *testing.T) { // D10
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		begun, cause := make(chan struct{}), make(chan error, 1)
		var answers int
		b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { answers++; return dispatchtest.Deliver })
		must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, m text) (number, error) {
			close(begun)
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return nil, ctx.Err()
		}))
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-begun
			cancel()
		}()
		_, err := dispatch.Ask[number](ctx, a.Dispatcher, b.id, say("x"))
		wantCode(t, err, wire.Canceled, false)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v is not context.Canceled", err)
		}
		if err := <-cause; !errors.Is(err, &dispatch.PeerError{Code: wire.Canceled, Peer: a.id}) {
			t.Errorf("cause: %v", err)
		}
		synctest.Wait()
		if answers != 0 {
			t.Errorf("%d answers to who gave up", answers)
		}
		wantNothingHeld(t, a, b)
	})
}

func TestLateReplyIsDropped(t *testing.T) { // D3
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		must(t, dispatch.Handle(b.Dispatcher, length))
		b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := dispatch.Ask[number](ctx, a.Dispatcher, b.id, say("x"))
		wantCode(t, err, wire.DeadlineExceeded, false)
		synctest.Wait()
		b.end.Release(nil)
		if n := a.Stats().Dropped["no-request"]; n != 1 {
			t.Errorf("counted %d", n)
		}
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestRepliesDeliveredTwiceCountOnce(t *testing.T) { // T11
	a, b := pair(t)
	must(t, dispatch.Handle(b.Dispatcher, length))
	b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Twice })
	for i := range 50 {
		n, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say(strings.Repeat("x", i)))
		must(t, err)
		if n.GetValue() != int64(i) {
			t.Fatalf("got the reply %v for %d", n, i)
		}
	}
}

func TestSessionEndsAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		cause := make(chan error, 1)
		must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, m text) (number, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return nil, ctx.Err()
		}))
		result := make(chan error, 1)
		go func() {
			_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
			result <- err
		}()
		synctest.Wait()
		gone := errors.New("cable cut")
		dispatchtest.Disconnect(a.end, b.end, gone)
		err := <-result
		wantCode(t, err, wire.Unavailable, false)
		if !errors.Is(err, gone) {
			t.Errorf("%v does not say why", err)
		}
		if err := <-cause; !errors.Is(err, gone) {
			t.Errorf("the handler's cause: %v", err)
		}
		_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
		wantCode(t, err, wire.Unavailable, false)
		// A fresh session begins with fresh numbers.
		dispatchtest.Connect(a.end, b.end)
		must(t, dispatch.Handle(b.Dispatcher, func(context.Context, number) (number, error) { return num(1), nil }))
		_, err = dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, num(1))
		must(t, err)
	})
}

func TestCloseEndsAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		must(t, dispatch.Handle(b.Dispatcher, func(ctx context.Context, m text) (number, error) {
			<-ctx.Done()
			return nil, dispatch.Errorf(wire.Aborted, "closing")
		}))
		results := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
				results <- err
			}()
		}
		synctest.Wait()
		shut(t, b.Dispatcher) // its handlers end and still answer
		wantCode(t, <-results, wire.Aborted, true)
		wantCode(t, <-results, wire.Aborted, true)
		go func() {
			b.end.Intercept(nil)
			_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
			results <- err
		}()
		synctest.Wait() // b is closed and says nothing
		shut(t, a.Dispatcher)
		wantCode(t, <-results, wire.Unavailable, false)
		_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
		wantCode(t, err, wire.Unavailable, false)
		if err := dispatch.Handle(a.Dispatcher, length); dispatch.CodeOf(err) != wire.Unavailable {
			t.Errorf("Handle after Close: %v", err)
		}
	})
}

func TestRequestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t,
			dispatch.Config{Limits: dispatch.Limits{MaxPending: 3}},
			dispatch.Config{Limits: dispatch.Limits{MaxRequests: 2}})
		let := make(chan struct{})
		must(t, dispatch.Handle(b.Dispatcher, func(context.Context, text) (number, error) { <-let; return num(1), nil }))
		results := make(chan error, 4)
		for range 4 {
			go func() {
				_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
				results <- err
			}()
			synctest.Wait()
		}
		// Two run, the third is refused and frees its place, so the fourth goes out.
		wantCode(t, <-results, wire.ResourceExhausted, true)
		wantCode(t, <-results, wire.ResourceExhausted, true)
		b.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Drop })
		for range 2 { // nobody answers these any more
			go func() {
				_, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, say("x"))
				results <- err
			}()
			synctest.Wait()
		}
		wantCode(t, <-results, wire.ResourceExhausted, false) // this side's own limit
		b.end.Intercept(nil)
		close(let)
		must(t, <-results)
		must(t, <-results)
		wantCode(t, <-results, wire.DeadlineExceeded, false)
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestManyReplies(t *testing.T) { // D3
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		stopped := make(chan error, 1)
		must(t, dispatch.HandleMany(b.Dispatcher, func(ctx context.Context, m number, reply func(number) error) error {
			for i := range m.GetValue() {
				if err := reply(num(i)); err != nil {
					stopped <- context.Cause(ctx)
					return err
				}
			}
			if m.GetValue() == 13 {
				return dispatch.Errorf(wire.OutOfRange, "unlucky")
			}
			if m.GetValue() == 14 {
				<-ctx.Done()
				stopped <- context.Cause(ctx)
			}
			return nil
		}))
		collect := func(n int64) (sum int64, last error) {
			for m, err := range dispatch.AskMany[number](t.Context(), a.Dispatcher, b.id, num(n)) {
				if err != nil {
					return sum, err
				}
				sum += m.GetValue()
			}
			return sum, nil
		}
		for n, want := range map[int64]int64{0: 0, 1: 0, 10: 45} {
			if sum, err := collect(n); err != nil || sum != want {
				t.Errorf("%d: %d, %v", n, sum, err)
			}
		}
		sum, err := collect(13)
		wantCode(t, err, wire.OutOfRange, true)
		if sum != 78 {
			t.Errorf("before the error: %d", sum)
		}
		// Leaving the loop tells the other side.
		for range dispatch.AskMany[number](t.Context(), a.Dispatcher, b.id, num(14)) {
			break
		}
		if err := <-stopped; !errors.Is(err, &dispatch.PeerError{Code: wire.Canceled}) {
			t.Errorf("%v", err)
		}
		// Ask takes the first.
		first, err := dispatch.Ask[number](t.Context(), a.Dispatcher, b.id, num(3))
		must(t, err)
		if first.GetValue() != 0 {
			t.Errorf("first: %v", first)
		}
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestUnreadRepliesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		must(t, dispatch.HandleMany(b.Dispatcher, func(ctx context.Context, m number, reply func(blob) error) error {
			for ctx.Err() == nil {
				if err := reply(blobOf(1 << 10)); err != nil {
					return err
				}
			}
			return nil
		}))
		n := 0
		var last error
		for m, err := range dispatch.AskMany[blob](t.Context(), a.Dispatcher, b.id, num(1)) {
			if n == 0 {
				synctest.Wait() // the reader fell behind
			}
			if n++; err != nil {
				last = err
				break
			}
			_ = m
		}
		wantCode(t, last, wire.ResourceExhausted, false)
		if n < 100 || n > 400 {
			t.Errorf("%d replies were kept", n)
		}
	})
}

func TestLargeMessages(t *testing.T) {
	a, b := pair(t)
	must(t, dispatch.Handle(b.Dispatcher, func(_ context.Context, m blob) (blob, error) { return m, nil }))
	m, err := dispatch.Ask[blob](t.Context(), a.Dispatcher, b.id, blobOf(3<<20))
	must(t, err)
	if len(m.GetValue()) != 3<<20 {
		t.Errorf("%d bytes came back", len(m.GetValue()))
	}
}

func TestRegistration(t *testing.T) { // D9
	a, _ := pair(t)
	must(t, dispatch.Handle(a.Dispatcher, length))
	var taken *dispatch.RegistrationError
	if err := dispatch.Handle(a.Dispatcher, length); !errors.As(err, &taken) {
		t.Errorf("twice: %v", err)
	}
	if err := dispatch.HandleOneWay(a.Dispatcher, func(context.Context, text) {}); !errors.As(err, &taken) {
		t.Errorf("as another kind: %v", err)
	}
	must(t, dispatch.HandleService(a.Dispatcher, 1, length))
	if err := dispatch.HandleService(a.Dispatcher, 1, length); !errors.As(err, &taken) || taken.Service != 1 {
		t.Errorf("in a service: %v", err)
	}
	for what, err := range map[string]error{
		"no function":         dispatch.Handle[text, number](a.Dispatcher, nil),
		"no service function": dispatch.HandleService[text, number](a.Dispatcher, 2, nil),
		"no one-way function": dispatch.HandleOneWay[text](a.Dispatcher, nil),
		"no many function":    dispatch.HandleMany[text, number](a.Dispatcher, nil),
		"service zero":        dispatch.HandleService(a.Dispatcher, 0, length),
		"no concrete request": dispatch.Handle(a.Dispatcher, func(context.Context, proto.Message) (number, error) { return nil, nil }),
		"no concrete reply":   dispatch.Handle(a.Dispatcher, func(context.Context, blob) (proto.Message, error) { return nil, nil }),
	} {
		if err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	if _, err := dispatch.New(nil, dispatch.Config{}); err == nil {
		t.Error("no transport is accepted")
	}
	if _, err := dispatch.New(dispatchtest.New(a.id), dispatch.Config{Limits: dispatch.Limits{MaxDepth: -1}}); err == nil {
		t.Error("a negative limit is accepted")
	}
}

func TestErrors(t *testing.T) {
	who := dispatchtest.ID(1)
	local := &dispatch.Error{Code: wire.Unavailable, Op: "ask", Peer: who, Err: errors.New("why")}
	said := &dispatch.PeerError{Code: wire.NotFound, Message: "no\nunicorn", Peer: who}
	wrapped := fmt.Errorf("more: %w", said)
	for _, tc := range []struct {
		err, target error
		want        bool
	}{
		{local, &dispatch.Error{}, true},
		{local, &dispatch.Error{Code: wire.Unavailable, Peer: who}, true},
		{local, &dispatch.Error{Code: wire.Aborted}, false},
		{local, &dispatch.Error{Peer: peer.ID{1}}, false},
		{local, &dispatch.PeerError{}, false},
		{wrapped, &dispatch.PeerError{Code: wire.NotFound}, true},
		{wrapped, &dispatch.PeerError{Code: wire.Aborted}, false},
		{wrapped, &dispatch.Error{}, false},
	} {
		if got := errors.Is(tc.err, tc.target); got != tc.want {
			t.Errorf("errors.Is(%v, %#v) = %v", tc.err, tc.target, got)
		}
	}
	for err, code := range map[error]wire.Code{
		nil: wire.OK, errors.New("x"): wire.Unknown, wrapped: wire.NotFound, local: wire.Unavailable,
		context.Canceled: wire.Canceled, context.DeadlineExceeded: wire.DeadlineExceeded,
		dispatch.ErrWouldBlock:            wire.ResourceExhausted,
		dispatch.Errorf(wire.Aborted, ""): wire.Aborted, dispatch.Errorf(99, ""): wire.Unknown, dispatch.Errorf(wire.OK, ""): wire.Unknown,
	} {
		if got := dispatch.CodeOf(err); got != code {
			t.Errorf("CodeOf(%v) = %v", err, got)
		}
	}
	if s := said.Error(); strings.Contains(s, "\n") {
		t.Errorf("a peer's line break passes: %q", s)
	}
	long := dispatch.Errorf(wire.Aborted, "%s", strings.Repeat("é", wire.MaxStatusMessage)).Error()
	if n := len(long) - len("Aborted: "); n > wire.MaxStatusMessage || n < wire.MaxStatusMessage-1 {
		t.Errorf("a long text is cut to %d bytes", n)
	}
}

// wantNothingHeld checks that nothing is left when nothing is going on.
func wantNothingHeld(t testing.TB, sides ...side) {
	t.Helper()
	for _, s := range sides {
		st := waitIdle(s)
		if st.Conversations+st.Requests+st.Pending+st.Early != 0 || st.QueuedBytes != 0 {
			t.Errorf("%s holds %+v", s.id.Short(), st)
		}
	}
}

// waitIdle gives what runs on other goroutines the time to end. A handler's answer
// comes before its slot is free.
func waitIdle(s side) dispatch.Stats {
	for range 100_000 {
		st := s.Stats()
		if st.Conversations+st.Requests+st.Pending == 0 {
			return st
		}
		runtime.Gosched()
	}
	return s.Stats()
}
