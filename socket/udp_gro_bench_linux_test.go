package socket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"parley/peer"
)

// T1: quic-go sends trains and reads them through ReadBatch, which nothing else would notice if it ever ceased.
func TestGROUsed(t *testing.T) {
	groPair(t, "127.0.0.1:0", "127.0.0.1") // skips where there is no GRO
	enable := enableGRO
	defer func() { enableGRO = enable }()
	var made []*groConn
	enableGRO = func(c *udpConn) net.PacketConn {
		g := enable(c).(*groConn)
		made = append(made, g)
		return g
	}
	bulk(t, 4<<20) // and closes the hosts: nobody reads any more
	longest := 0
	for _, g := range made {
		for i := range g.trains {
			b := g.trains[i].Buffers[0]
			longest = max(longest, len(bytes.TrimRight(b, "\x00")))
		}
	}
	if longest <= quicPacket {
		t.Errorf("no train arrived: the longest packet had %d bytes", longest)
	}
}

// BenchmarkGRO compares bulk over one byte stream on loopback without and with GRO: each turn moves 64 MiB both
// ways, one right after the other and every second time in the other order, because a shared machine drifts. It
// reports medians: of both rates, of the processor time of both ends together, and of with/without in each
// pair. -benchtime=10x and more says something.
func BenchmarkGRO(b *testing.B) {
	const size = 64 << 20
	enable := enableGRO
	b.Cleanup(func() { enableGRO = enable })
	var rate, perByte [2][]float64
	var faster, cheaper []float64
	for turn := range b.N {
		for i := range 2 {
			with := (turn + i) % 2
			enableGRO = nil
			if with == 1 {
				enableGRO = enable
			}
			r, p := bulk(b, size)
			rate[with], perByte[with] = append(rate[with], r), append(perByte[with], p)
		}
		faster = append(faster, rate[1][turn]/rate[0][turn])
		cheaper = append(cheaper, perByte[1][turn]/perByte[0][turn])
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(rate[0]), "without-MB/s")
	b.ReportMetric(median(rate[1]), "with-MB/s")
	b.ReportMetric(median(faster), "MB/s-ratio")
	b.ReportMetric(median(perByte[0]), "without-cpu-ns/B")
	b.ReportMetric(median(perByte[1]), "with-cpu-ns/B")
	b.ReportMetric(median(cheaper), "cpu-ns/B-ratio")
}

// bulk returns the rate in MB/s and the processor time per byte in ns of size bytes over a new session.
func bulk(b testing.TB, size int) (rate, perByte float64) {
	b.Helper()
	var hosts [2]*Host
	up := make(chan struct{}, len(hosts))
	for i := range hosts {
		seed := sha256.Sum256([]byte{byte(i)})
		key, err := peer.KeyFromSeed(seed[:])
		if err != nil {
			b.Fatal(err)
		}
		if hosts[i], err = Listen(Config{Key: key, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)}); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = hosts[i].Close() }()
		hosts[i].Attach(func(peer.ID, uint64, uint64) { up <- struct{}{} }, func(peer.ID, uint64, []byte) {}, func(peer.ID, uint64, error) {})
	}
	ctx := context.Background()
	s, err := hosts[0].Dial(ctx, hosts[1].LocalID(), hosts[1].Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	<-up
	<-up // the listener is up a moment after the dialler
	out, err := s.OpenStream(ctx)
	if err != nil {
		b.Fatal(err)
	}
	r, ok := hosts[1].Session(hosts[0].LocalID())
	if !ok {
		b.Fatal("no session")
	}
	in, err := r.AcceptStream(ctx)
	if err != nil {
		b.Fatal(err)
	}
	chunk := make([]byte, 256<<10)
	began, worked := time.Now(), processorTime(b)
	go func() {
		for range size / len(chunk) {
			if _, err := out.Write(chunk); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	if _, err := io.CopyN(io.Discard, in, int64(size)); err != nil {
		b.Fatal(err)
	}
	return float64(size) / 1e6 / time.Since(began).Seconds(), float64(processorTime(b)-worked) / float64(size)
}

func processorTime(b testing.TB) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// median sorts list.
func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}
