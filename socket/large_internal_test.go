package socket

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func blockOf(seed uint64, size int) []byte {
	b := make([]byte, size)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// C9: a large block that is cut again and again goes on where it was, and is handed up once.
func TestLargeBlockOutlivesConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, 3)
		p.pace = time.Microsecond
		p.connect()
		block := blockOf(3, 3<<20)
		sent := make(chan error, 1)
		go func() { sent <- p.sides[0].sendLarge(context.Background(), 2, 5, block) }()
		cuts := 0
		for len(sent) == 0 {
			<-time.After(50 * time.Millisecond)
			p.lose(p.now)
			cuts++
			<-time.After(time.Duration(cuts%40) * time.Millisecond)
			p.connect()
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		if got := <-p.sides[1].blocks; !bytes.Equal(got, block) || len(p.sides[1].blocks) != 0 {
			t.Errorf("%d bytes came, %d more blocks", len(got), len(p.sides[1].blocks))
		}
		if cuts < 20 || cuts > 200 {
			t.Errorf("%d cuts", cuts)
		}
		<-time.After(time.Second)
		p.idle()
		p.stop()
	})
}

// The end of ctx takes a block back, if it has not been handed up.
func TestLargeBlockTakenBack(t *testing.T) {
	for _, gated := range []bool{false, true} {
		inPair(t, func(p *fakePair) {
			if gated { // it is there, and waits for its turn
				p.sides[1].gate = make(chan struct{})
			} else {
				p.lose(p.now)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			err := p.sides[0].sendLarge(ctx, 0, 0, make([]byte, 1<<20))
			if !errors.Is(err, Timeout) {
				t.Errorf("got %v", err)
			}
			if !gated {
				p.connect()
			}
			<-time.After(time.Second)
			if n := len(p.sides[1].blocks); n != 0 || p.sides[1].memory.used.Load() != 0 {
				t.Errorf("%d blocks, %d bytes", n, p.sides[1].memory.used.Load())
			}
			p.idle()
		})
	}
}

// Refusals have their codes: too large, no memory, a sender that stops in the middle.
func TestLargeBlockRefused(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(p *fakePair)
		code Code
	}{
		"too large": {func(p *fakePair) { p.sides[1].largest = 1 << 19 }, TooLarge},
		"no memory": {func(p *fakePair) { p.sides[1].memory.limit = 1 << 19 }, Limit},
		"stalled": {func(p *fakePair) {
			go func() {
				<-time.After(time.Millisecond * 200)
				p.lose(p.now)
				<-time.After(largeStall + time.Second)
				if p.sides[1].memory.used.Load() != 0 {
					t.Error("memory is held")
				}
				p.connect()
			}()
		}, Limit},
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(p *fakePair) {
				p.pace = time.Microsecond
				c.set(p)
				err := p.sides[0].sendLarge(context.Background(), 0, 0, make([]byte, 1<<20))
				var theirs *PeerError
				if !errors.As(err, &theirs) || theirs.Code != c.code || theirs.Op != "send" {
					t.Errorf("got %v", err)
				}
				<-time.After(time.Second)
				p.idle()
			})
		})
	}
}

// The Done of a block that was handed up is lost with its connection: Send says so all the same. A refusal
// that is lost is no success either.
func TestLargeBlockDoneIsLost(t *testing.T) {
	for _, refused := range []bool{false, true} {
		inPair(t, func(p *fakePair) {
			if refused {
				p.sides[1].largest = 1
			}
			p.sides[1].current.Store(nil) // nothing is said
			sent := make(chan error, 1)
			go func() { sent <- p.sides[0].sendLarge(context.Background(), 0, 0, make([]byte, 1<<20)) }()
			<-time.After(time.Second)
			for len(p.sides[1].collect(64)) > 0 { // or only to be lost
			}
			p.lose(p.now)
			p.connect()
			if err := <-sent; refused != (err != nil) {
				t.Errorf("got %v", err)
			}
			if refused == (len(p.sides[1].blocks) == 1) {
				t.Error("handed up")
			}
			<-time.After(time.Second)
			p.idle()
		})
	}
}
