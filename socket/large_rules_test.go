package socket_test

import (
	"testing"
	"time"

	"parley/wire"
)

// A large block whose turn does not come within a minute breaks the rules, while its connection works.
func TestLargeBlockWaitsForAMinute(t *testing.T) { // BL10, CN10
	inWorld(t, func(w *world) {
		p := w.meet()
		start := time.Now()
		_ = p.preambled(wire.Preamble{Kind: wire.StreamBlock, Stream: 1, Number: 1, Length: 3}, "abc").Close()
		go func() {
			<-time.After(50 * time.Second)
			p.lane(0, 0) // of no use
		}()
		<-p.c.Context().Done()
		if took := time.Since(start); took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("closed after %v", took)
		}
		p.refused()
	})
}

// A large block that ends before the length that it announced.
func TestLargeBlockEndsEarly(t *testing.T) { // ST12, CN10
	inWorld(t, func(w *world) {
		p := w.meet()
		_ = p.preambled(wire.Preamble{Kind: wire.StreamBlock, Stream: 1, Length: 100}, "abc").Close()
		p.refused()
	})
}
