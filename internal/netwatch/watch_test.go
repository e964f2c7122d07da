package netwatch

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPoller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var (
			mu     sync.Mutex // a tick orders nothing for the race detector
			now    = state{"a"}
			broken error
			calls  int
		)
		read := func() (state, error) {
			mu.Lock()
			defer mu.Unlock()
			return now, broken
		}
		run, err := poller(ctx, read, func() {
			mu.Lock()
			defer mu.Unlock()
			calls++
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); run() }()
		for _, step := range []struct {
			name  string
			state state
			err   error
			calls int
		}{
			{"nothing", state{"a"}, nil, 0},
			{"an address more", state{"a", "b"}, nil, 1},
			{"nothing", state{"a", "b"}, nil, 1},
			{"cannot read", nil, errors.New("none"), 1},
			{"as before", state{"a", "b"}, nil, 1},
			{"another", state{"a", "c"}, nil, 2},
			{"none", nil, nil, 3},
		} {
			mu.Lock()
			now, broken = step.state, step.err
			mu.Unlock()
			<-time.After(pollEvery)
			synctest.Wait()
			mu.Lock()
			got := calls
			mu.Unlock()
			if got != step.calls {
				t.Fatalf("%s: %d calls, want %d", step.name, got, step.calls)
			}
		}
		cancel()
		<-ended
		broken = errors.New("none")
		if _, err := poller(ctx, read, nil); !errors.Is(err, broken) {
			t.Errorf("a system that shows nothing: %v", err)
		}
	})
}

func TestInterfaceAddrs(t *testing.T) {
	s, err := interfaceAddrs()
	if err != nil {
		t.Skip(err)
	}
	for _, a := range s {
		if a == "127.0.0.1/8" || a == "::1/128" {
			t.Errorf("%s counts", a)
		}
	}
}
