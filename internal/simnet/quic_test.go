package simnet_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"runtime"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"parley/internal/simnet"
)

// quicLinger is how long quic-go keeps timers of connections that are closed, at the most.
const quicLinger = 5 * time.Minute

func testTLS(t *testing.T) *tls.Config {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(48 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates:       []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		InsecureSkipVerify: true,
		NextProtos:         []string{"test"},
	}
}

// transfer sends 256 KiB over QUIC between two hosts on bad lines, in a bubble, and then lets the connection idle
// for a day of keep-alives. It returns a hash of every packet with its time and fate. midway is called when half
// has arrived.
func transfer(t *testing.T, midway func(*simnet.Net)) (trace [sha256.Size]byte) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sum, began := sha256.New(), time.Now()
		n := simnet.New(1)
		n.Trace(func(p simnet.Packet) {
			fmt.Fprint(sum, p.Time.Sub(began), p.From, p.To, p.Fate)
			_ = binary.Write(sum, binary.BigEndian, sha256.Sum256(p.Payload))
		})
		line := simnet.Link{Delay: 10 * time.Millisecond, Jitter: time.Millisecond, Loss: 0.01}
		n.AddHost(hostA, line, n.AddNAT(wan, simnet.PortRestricted, time.Minute))
		n.AddHost(hostB, line, nil)
		a, b := listen(t, n, hostA, 1), listen(t, n, hostB, 1)
		cfg := &quic.Config{InitialPacketSize: 1200, KeepAlivePeriod: 10 * time.Second}
		ta, tb := &quic.Transport{Conn: a}, &quic.Transport{Conn: b}
		config := testTLS(t)
		ln, err := tb.Listen(config, cfg)
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
		served := make(chan error, 1)
		go func() { served <- serve(ln, want) }()

		conn, err := ta.Dial(t.Context(), b.LocalAddr(), config, cfg)
		if err != nil {
			t.Fatal(err)
		}
		s, err := conn.AcceptUniStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err = io.ReadFull(s, got[:len(want)/2]); err != nil {
			t.Fatal(err)
		}
		midway(n)
		if _, err = io.ReadFull(s, got[len(want)/2:]); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Error("the bytes differ")
		}
		<-time.After(24 * time.Hour)
		if err := conn.Context().Err(); err != nil {
			t.Errorf("after a day of keep-alives: %v", context.Cause(conn.Context()))
		}
		_ = conn.CloseWithError(0, "")
		if err := <-served; err != nil {
			t.Error(err)
		}
		_, _, _ = ln.Close(), ta.Close(), tb.Close()
		_, _ = a.Close(), b.Close()
		<-time.After(quicLinger)
		sum.Sum(trace[:0])
	})
	return trace
}

// serve sends data on a stream of the next connection and waits for the connection's end.
func serve(ln *quic.Listener, data []byte) error {
	conn, err := ln.Accept(context.Background())
	if err != nil {
		return err
	}
	s, err := conn.OpenUniStream()
	if err != nil {
		return err
	}
	if _, err = s.Write(data); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	<-conn.Context().Done()
	return nil
}

// quic-go runs in a bubble, and survives there what it survives outside: a rebinding and an address change of
// the side that dialled.
func TestQUICInVirtualTime(t *testing.T) {
	for name, midway := range map[string]func(*simnet.Net){
		"quiet": func(*simnet.Net) {},
		"rebinding": func(n *simnet.Net) {
			if err := n.Play(t.Context(), []simnet.Fault{{Kind: simnet.Rebinding, A: hostA}}, nil, nil); err != nil {
				t.Error(err)
			}
		},
		"address change": func(n *simnet.Net) {
			if err := n.Move(hostA, netip.MustParseAddr("10.0.0.2")); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { transfer(t, midway) })
	}
}

// With one processor and seeded keys, a run of quic-go repeats packet for packet.
func TestQUICRepeats(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector shuffles the scheduler's queue")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	run := func(t *testing.T, seed uint64) (trace [sha256.Size]byte) {
		t.Run("", func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed)
			trace = transfer(t, func(*simnet.Net) {})
		})
		return trace
	}
	first := run(t, 1)
	if run(t, 1) != first {
		t.Error("one seed, two traces")
	}
	if run(t, 2) == first {
		t.Error("two seeds, one trace: the keys are not in it")
	}
}
