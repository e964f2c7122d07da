package actor

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that end at once unless something is broken.
const patience = 20 * time.Second

func newSystem(t testing.TB, c Config) *System {
	t.Helper()
	s := NewSystem(c)
	t.Cleanup(func() { closeNow(t, s) })
	return s
}

type closer interface{ Close(context.Context) error }

func closeNow(t testing.TB, c closer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func spawn(t testing.TB, s *System, r Receiver, o Options) *Ref {
	t.Helper()
	ref, err := s.Spawn(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// get receives from c or fails the test.
func get[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

// idleProcess is a Receiver that ignores everything.
var idleProcess = Func(func(*Context, any) {})

// do is a message that a doer carries out in its turn.
type do func(c *Context)

var doer = Func(func(c *Context, msg any) {
	if f, ok := msg.(do); ok {
		f(c)
	}
})
