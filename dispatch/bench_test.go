package dispatch_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"parley/dispatch"
)

func BenchmarkAsk(b *testing.B) { // a round trip in memory, one at a time
	b.ReportAllocs()
	x, y := pair(b)
	must(b, dispatch.Handle(y.Dispatcher, length))
	m := say("hello")
	for b.Loop() {
		if _, err := dispatch.Ask[number](b.Context(), x.Dispatcher, y.id, m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAskParallel(b *testing.B) { // 256 at a time
	b.ReportAllocs()
	x, y := pair(b)
	must(b, dispatch.Handle(y.Dispatcher, length))
	b.SetParallelism(256 / runtime.GOMAXPROCS(0))
	b.RunParallel(func(p *testing.PB) {
		m := say("hello")
		for p.Next() {
			if _, err := dispatch.Ask[number](b.Context(), x.Dispatcher, y.id, m); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkSend(b *testing.B) { // one message in a conversation, credit included
	b.ReportAllocs()
	x, y := pair(b)
	k := &counter{done: make(chan struct{})}
	bh, err := dispatch.NewBehavior(dispatch.On((*counter).count))
	must(b, err)
	must(b, dispatch.Converse(y.Dispatcher, func(*dispatch.Conversation, text) (*counter, error) { return k, nil }, bh))
	c, err := dispatch.Open(b.Context(), x.Dispatcher, y.id, say("x"), k, bh)
	must(b, err)
	m := num(1)
	n := 0
	for b.Loop() {
		if err := c.Send(m); err != nil {
			b.Fatal(err)
		}
		n++
	}
	must(b, c.Send(num(-int64(n))))
	<-k.done
}

type counter struct {
	n    int64
	done chan struct{}
}

func (k *counter) count(_ *dispatch.Conversation, m number) error {
	if k.n += m.GetValue(); m.GetValue() < 0 {
		close(k.done)
	}
	return nil
}

func BenchmarkConversation(b *testing.B) { // opened, answered, ended
	b.ReportAllocs()
	x, y := pair(b)
	bh, err := dispatch.NewBehavior(dispatch.On(func(_ *counter, c *dispatch.Conversation, _ number) error {
		c.End()
		return nil
	}))
	must(b, err)
	must(b, dispatch.Converse(y.Dispatcher, func(c *dispatch.Conversation, _ text) (*counter, error) {
		return nil, c.Send(num(1))
	}, bh))
	for b.Loop() {
		c, err := dispatch.Open(b.Context(), x.Dispatcher, y.id, say("x"), nil, bh)
		if err != nil {
			b.Fatal(err)
		}
		<-c.Done()
	}
}

// TestIdleConversationsAreSmall measures what an idle conversation costs, both ends
// together (A5: at most 2 KiB each).
func TestIdleConversationsAreSmall(t *testing.T) {
	if testing.CoverMode() != "" || raceEnabled {
		t.Skip("instrumented code has other sizes")
	}
	a, b := pair(t)
	const n = 5000
	var begun atomic.Int32
	bh, err := dispatch.NewBehavior(dispatch.On((*counter).count))
	must(t, err)
	k := &counter{}
	must(t, dispatch.Converse(b.Dispatcher, func(*dispatch.Conversation, text) (*counter, error) {
		begun.Add(1)
		return k, nil
	}, bh))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range n {
		_, err := dispatch.Open(t.Context(), a.Dispatcher, b.id, say("x"), k, bh)
		must(t, err)
	}
	for begun.Load() < n {
		runtime.Gosched()
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / (2 * n)
	t.Logf("%.0f bytes for each end of an idle conversation", each)
	if each > 2048 {
		t.Error("more than 2 KiB")
	}
}
