package actor

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	engine "github.com/asynkron/protoactor-go/actor"
)

// Two tellers, n processes that do nothing; ns per message handled.
func BenchmarkTell(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("processes=%d", n), func(b *testing.B) {
			s := NewSystem(Config{})
			var handled sync.WaitGroup
			refs := make([]*Ref, n)
			for i := range refs {
				refs[i] = spawn(b, s, Func(func(*Context, any) { handled.Done() }), Options{})
			}
			msg := new(int)
			b.ReportAllocs()
			b.ResetTimer()
			handled.Add(b.N)
			var tellers sync.WaitGroup
			for t := range 2 {
				tellers.Go(func() {
					for i := t; i < b.N; i += 2 {
						refs[i/2%n].Tell(msg)
					}
				})
			}
			handled.Wait()
			b.StopTimer()
			tellers.Wait()
			b.ReportMetric(float64(s.Pool().Stats().Workers), "workers")
			closeNow(b, s)
		})
	}
}

// A message there and one back, in n pairs at a time; the engine with its own
// mailbox and dispatcher for comparison.
func BenchmarkPing(b *testing.B) {
	for _, n := range []int{1, 500} {
		b.Run(fmt.Sprintf("ours/pairs=%d", n), func(b *testing.B) {
			s := NewSystem(Config{})
			var over sync.WaitGroup
			pings := make([]*Ref, n)
			for i := range pings {
				left := b.N/n + 1
				pong := spawn(b, s, Func(func(_ *Context, msg any) { msg.(*Ref).Tell(msg) }), Options{})
				pings[i] = spawn(b, s, Func(func(_ *Context, msg any) {
					if left--; left < 0 {
						over.Done()
						return
					}
					pong.Tell(msg)
				}), Options{})
			}
			over.Add(n)
			b.ReportAllocs()
			b.ResetTimer()
			for _, r := range pings {
				r.Tell(r)
			}
			over.Wait()
			b.StopTimer()
			b.ReportMetric(float64(s.Pool().Stats().Workers), "workers")
			closeNow(b, s)
		})
		b.Run(fmt.Sprintf("engine/pairs=%d", n), func(b *testing.B) {
			s := NewSystem(Config{})
			root := s.engine.Root
			var over sync.WaitGroup
			pings := make([]*engine.PID, n)
			for i := range pings {
				left := b.N/n + 1
				pong := root.Spawn(engine.PropsFromFunc(func(c engine.Context) {
					if pid, ok := c.Message().(*engine.PID); ok {
						c.Send(pid, pid)
					}
				}))
				pings[i] = root.Spawn(engine.PropsFromFunc(func(c engine.Context) {
					if pid, ok := c.Message().(*engine.PID); ok {
						if left--; left < 0 {
							over.Done()
							return
						}
						c.Send(pong, pid)
					}
				}))
			}
			over.Add(n)
			b.ReportAllocs()
			b.ResetTimer()
			for _, r := range pings {
				root.Send(r, r)
			}
			over.Wait()
		})
	}
}

// A life: spawn, one message, end.
func BenchmarkLife(b *testing.B) {
	s := newSystem(b, Config{})
	b.ReportAllocs()
	var over sync.WaitGroup
	recv := Func(func(c *Context, _ any) { c.Stop(nil) })
	o := Options{OnEnd: func(error) { over.Done() }}
	for b.Loop() {
		over.Add(1)
		spawn(b, s, recv, o).Tell(nil)
	}
	over.Wait()
}

// Heap bytes per idle process that has handled a message.
func BenchmarkIdle(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		s := NewSystem(Config{})
		refs := make([]*Ref, n)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var handled sync.WaitGroup
		handled.Add(n)
		recv := Func(func(*Context, any) { handled.Done() })
		for i := range refs {
			refs[i] = spawn(b, s, recv, Options{})
			refs[i].Tell(nil)
		}
		handled.Wait()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/process")
		if err := s.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
		runtime.KeepAlive(refs)
	}
}
