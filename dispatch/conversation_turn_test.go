package dispatch_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"parley/dispatch"
	"parley/wire"
)

func TestPanicEndsOneConversation(t *testing.T) { // A3, T36, R23
	var log strings.Builder
	a, b := pair(t, dispatch.Config{}, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	k := newTalk()
	k.hook = func(c *dispatch.Conversation, m text) error {
		if m.GetValue() == "boom" {
			panic("boom")
		}
		return c.Send(m)
	}
	must(t, dispatch.Converse(b.Dispatcher, func(c *dispatch.Conversation, first text) (*talk, error) {
		return &talk{hook: k.hook, ends: make(chan error, 1), kids: k.kids}, nil
	}, behavior(t)))
	const n = 1000
	var ended atomic.Int32
	talks := make([]*talk, n)
	all := make([]*dispatch.Conversation, n)
	for i := range n {
		talks[i] = newTalk()
		talks[i].hook = func(c *dispatch.Conversation, m text) error {
			ended.Add(1)
			c.End()
			return nil
		}
		all[i] = open(t, a, b, talks[i])
	}
	for i, c := range all {
		m := say("echo")
		if i == 500 {
			m = say("boom")
		}
		must(t, c.Send(m))
	}
	for i, c := range all {
		<-c.Done()
		if i == 500 {
			wantCode(t, c.Err(), wire.Internal, true)
		} else if c.Err() != nil {
			t.Fatalf("conversation %d: %v", i, c.Err())
		}
	}
	if ended.Load() != n-1 {
		t.Errorf("%d finished", ended.Load())
	}
	wantNothingHeld(t, a, b)
	shut(t, b.Dispatcher)
	if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "conversation_test.go") {
		t.Errorf("the log lacks the panic or its stack")
	}
}

func TestOneMessageAtATime(t *testing.T) { // D8
	a, b := pair(t)
	var inside, most atomic.Int32
	var at atomic.Int32
	k := newTalk()
	k.hook = func(_ *dispatch.Conversation, m text) error {
		if inside.Add(1) > 1 {
			most.Store(2)
		}
		if m.GetValue() != fmt.Sprint(at.Add(1)) {
			t.Errorf("%q out of order", m.GetValue())
		}
		runtime.Gosched()
		inside.Add(-1)
		return nil
	}
	accept(t, b, k, nil)
	c := open(t, a, b, newTalk())
	for i := range 2000 {
		must(t, c.Send(say(fmt.Sprint(i+1))))
	}
	c.End() // what was sent before still arrives
	if err := <-k.ends; err != nil || at.Load() != 2000 || most.Load() != 0 {
		t.Errorf("%v, %d handled, two at once: %v", err, at.Load(), most.Load() != 0)
	}
	wantNothingHeld(t, a, b)
}

func TestConversationsRunInParallel(t *testing.T) { // D8: more than there are processors
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		const n = 50
		together := make(chan struct{}, n)
		release := make(chan struct{})
		accept(t, b, newTalk(), func(c *dispatch.Conversation, _ text) error {
			together <- struct{}{}
			<-release
			c.End()
			return nil
		})
		for range n {
			open(t, a, b, newTalk())
		}
		for range n {
			<-together
		}
		close(release)
		synctest.Wait()
		wantNothingHeld(t, a, b)
	})
}

func TestUnexpectedMessagesEndTheConversation(t *testing.T) {
	a, b := pair(t)
	accept(t, b, newTalk(), nil)
	c := open(t, a, b, newTalk())
	must(t, c.Send(blobOf(1)))
	<-c.Done()
	wantCode(t, c.Err(), wire.Unimplemented, true)
	if n := b.Stats().Dropped["unexpected"]; n != 1 {
		t.Errorf("counted %d", n)
	}
	wantNothingHeld(t, a, b)
}
