package memory_test

import (
	"testing"

	"parley/socket/memory"
)

// BenchmarkPacket is one packet of 1,200 bytes written and read; the rate is its inverse.
func BenchmarkPacket(b *testing.B) {
	n := memory.NewNetwork()
	from, to := listen(b, n), listen(b, n)
	p, buf := make([]byte, 1200), make([]byte, 1500)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = from.WriteTo(p, to.LocalAddr())
		if _, _, err := to.ReadFrom(buf); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
}

// BenchmarkStreaming has the reader in a goroutine of its own, as QUIC has; packets that find the queue full are lost.
func BenchmarkStreaming(b *testing.B) {
	n := memory.NewNetwork()
	from, to := listen(b, n), listen(b, n)
	received := make(chan int)
	go func() {
		buf := make([]byte, 1500)
		for got := 0; ; got++ {
			if _, _, err := to.ReadFrom(buf); err != nil {
				received <- got
				return
			}
		}
	}()
	p := make([]byte, 1200)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = from.WriteTo(p, to.LocalAddr())
	}
	_ = to.Close()
	b.ReportMetric(float64(<-received)/b.Elapsed().Seconds(), "received/s")
}
