package actor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Close gives up waiting with its context, and can be called again.
func TestCloseWithBlockedHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSystem(Config{})
		release := make(chan bool)
		spawn(t, s, Func(func(*Context, any) { <-release }), Options{}).Tell(0)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close = %v", err)
		}
		close(release)
		closeNow(t, s)
		closeNow(t, s)
	})
}

// Spawns race with Close: each either fails or is ended by it.
func TestCloseRacesWithSpawn(t *testing.T) {
	for range 20 {
		s := NewSystem(Config{})
		var wg sync.WaitGroup
		var begun, over sync.Map
		for p := range 4 {
			wg.Go(func() {
				for i := range 200 {
					key := [2]int{p, i}
					if _, err := s.Spawn(idleProcess, Options{OnEnd: func(error) { over.Store(key, true) }}); err != nil {
						return
					}
					begun.Store(key, true)
				}
			})
		}
		closeNow(t, s)
		wg.Wait()
		begun.Range(func(k, _ any) bool {
			if _, ok := over.Load(k); !ok {
				t.Errorf("process %v was not ended", k)
			}
			return true
		})
		if n := s.Stats().Live; n != 0 {
			t.Errorf("%d alive after Close", n)
		}
	}
}

// Nothing is printed unless a Logger is given.
func TestSilentByDefault(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, stdout := os.Stderr, os.Stdout
	os.Stderr, os.Stdout = w, w
	s := NewSystem(Config{})
	p := spawn(t, s, Func(func(*Context, any) { panic("boom") }), Options{})
	p.Tell(0)
	waitLive(t, s, 0)
	p.Tell(1)
	closeNow(t, s)
	os.Stderr, os.Stdout = stderr, stdout
	w.Close()
	if out, _ := io.ReadAll(r); len(out) != 0 {
		t.Errorf("printed: %s", out)
	}
}

// syncBuffer is a bytes.Buffer for a logger that is read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
