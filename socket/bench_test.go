package socket_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"parley/socket"
)

// linked returns two hosts with a session over real sockets on loopback.
func linked(b *testing.B) (x, y *socket.Host, s *socket.Session) {
	b.Helper()
	hosts := make([]*socket.Host, 2)
	for i := range hosts {
		h, err := socket.Listen(socket.Config{
			Key: testKey(string(rune('a' + i))), Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = h.Close() })
		hosts[i] = h
	}
	s, err := hosts[0].Dial(context.Background(), hosts[1].LocalID(), hosts[1].Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	return hosts[0], hosts[1], s
}

// BenchmarkRoundTrip is a 128-byte block each way, with 1, 64 and 1,024 in flight over 8 lanes.
func BenchmarkRoundTrip(b *testing.B) {
	for _, inFlight := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(inFlight), func(b *testing.B) {
			x, y, s := linked(b)
			free := make(chan struct{}, inFlight)
			nothing := func(id, uint64, uint64) {}
			over := func(id, uint64, error) {}
			x.Attach(nothing, func(id, uint64, []byte) { free <- struct{}{} }, over)
			y.Attach(nothing, func(from id, session uint64, block []byte) {
				if err := y.Send(context.Background(), from, session, binary.BigEndian.Uint64(block), block); err != nil {
					b.Error(err)
				}
			}, over)
			for range inFlight {
				free <- struct{}{}
			}
			block := make([]byte, 128)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				<-free
				binary.BigEndian.PutUint64(block, uint64(i))
				if err := s.Send(context.Background(), uint64(i), block); err != nil {
					b.Fatal(err)
				}
			}
			for range inFlight {
				<-free
			}
		})
	}
}

// BenchmarkStream is bulk over one byte stream.
func BenchmarkStream(b *testing.B) {
	_, y, s := linked(b)
	y.Attach(func(id, uint64, uint64) {}, func(id, uint64, []byte) {}, func(id, uint64, error) {})
	out, err := s.OpenStream(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	r, ok := y.Session(s.Host().LocalID())
	if !ok {
		b.Fatal("no session")
	}
	in, err := r.AcceptStream(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, in) }()
	chunk := make([]byte, 256<<10)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if _, err := out.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
}
