package readme

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"parley/peer"
	"parley/socket"
	"parley/socket/memory"
	"parley/socket/record"
)

// The guide docs/sessions.md shows the parts below between "shows" and "precedes". Each runs.

func Example_outage() {
	ctx := context.Background()
	arrived := make(chan string)
	// The guide shows what follows: events.
	network := memory.NewNetwork()
	listen := func() *socket.Host {
		return must(socket.Listen(socket.Config{
			Key: must(peer.GenerateKey()), PacketConn: must(network.Listen(netip.AddrPort{})),
		}))
	}
	alice, bob := listen(), listen()
	bob.Attach(
		func(id peer.ID, session, remote uint64) {},
		func(from peer.ID, session uint64, block []byte) { arrived <- string(block) },
		func(id peer.ID, session uint64, cause error) {},
	)
	alice.Observe(func(e socket.Event) {
		switch e.Kind {
		case socket.Down: // e.Cause says why; the session goes on, and connects again by itself
			fmt.Println("offline: what is sent waits")
		case socket.Up: // the first time, or again
			fmt.Println("online")
		case socket.Over: // the only event after which something may be lost
			fmt.Println("over:", socket.CodeOf(e.Cause))
		}
	})
	session := must(alice.Dial(ctx, bob.LocalID(), bob.Addr().String()))
	check(session.Send(ctx, 0, []byte("hello"))) // arrives once, however many connections that takes
	// The guide shows what precedes.
	fmt.Println(<-arrived)
	check(session.Close(ctx))
	check(alice.Close())
	check(bob.Close())
	// Output:
	// online
	// hello
	// over: closed
}

// pair is a session in memory, and the streams that its other side accepts.
func pair(ctx context.Context) (session *socket.Session, accepted chan *socket.Stream, end func()) {
	network := memory.NewNetwork()
	listen := func() *socket.Host {
		return must(socket.Listen(socket.Config{Key: must(peer.GenerateKey()), PacketConn: must(network.Listen(netip.AddrPort{}))}))
	}
	alice, bob := listen(), listen()
	accepted = make(chan *socket.Stream)
	bob.Observe(func(e socket.Event) {
		if e.Kind != socket.Up {
			return
		}
		go func() {
			for {
				s, err := e.Session.AcceptStream(ctx)
				if err != nil {
					return
				}
				accepted <- s
			}
		}()
	})
	session = must(alice.Dial(ctx, bob.LocalID(), bob.Addr().String()))
	return session, accepted, func() {
		check(alice.Close())
		check(bob.Close())
	}
}

func Example_stream() {
	ctx := context.Background()
	session, accepted, end := pair(ctx)
	defer end()
	go func() {
		s := <-accepted
		check2(io.Copy(s, s))
		check(s.CloseWrite())
	}()
	// The guide shows what follows: streams.
	stream := must(session.OpenStream(ctx))
	defer stream.Close()
	stream.SetPriority(socket.PriorityBackground)
	fmt.Fprint(stream, "a request")
	check(stream.CloseWrite())                            // the peer reads io.EOF; its answer still comes
	check(stream.WaitAcknowledged(ctx, stream.Written())) // its application has read everything
	fmt.Printf("answered %q\n", must(io.ReadAll(stream))) // through as many connections as it takes
	// The guide shows what precedes.

	// Output: answered "a request"
}

func Example_abandon() {
	ctx := context.Background()
	session, accepted, end := pair(ctx)
	defer end()
	reads := make(chan struct{})
	go func() {
		s := <-accepted
		must(io.ReadFull(s, make([]byte, 5)))
		<-reads
	}()
	// The guide shows what follows: abandon.
	stream := must(session.OpenStream(ctx))
	fmt.Fprint(stream, "hello world")
	check(stream.WaitAcknowledged(ctx, 5))
	const code = 7 // the application's own; the peer's reads and writes fail with it
	undelivered, offset := stream.Abandon(code)
	fmt.Printf("from byte %d on %q may not have been read\n", offset, undelivered)
	// The guide shows what precedes.
	close(reads)
	// Output: from byte 5 on " world" may not have been read
}

func Example_records() {
	ctx := context.Background()
	session, accepted, end := pair(ctx)
	defer end()
	read := make(chan []byte)
	// The guide shows what follows: records.
	go func() {
		records := record.NewReader(<-accepted, record.Limits{Record: 64 << 10})
		for range 2 {
			read <- must(records.ReadRecord(nil))
		}
	}()
	w := record.NewWriter(must(session.OpenStream(ctx)))
	check(w.WriteRecord([]byte("one message")))
	check(w.WriteRecord([]byte("and one more")))
	// The guide shows what precedes.
	fmt.Printf("%s\n%s\n", <-read, <-read)
	// Output:
	// one message
	// and one more
}

func check2(_ int64, err error) { check(err) }

// TestGuideShowsTheExamplesThatRun holds docs/sessions.md to the bytes that are run above.
func TestGuideShowsTheExamplesThatRun(t *testing.T) {
	source := read(t, "internal/readme/sessions_test.go")
	shown := fences(read(t, "docs/sessions.md"), "go")
	names := []string{"events", "streams", "abandon", "records"}
	if len(shown) != len(names) {
		t.Fatalf("docs/sessions.md has %d blocks of Go, want %d", len(shown), len(names))
	}
	for i, name := range names {
		region, ok := between(source, "\n\t// The guide shows what follows: "+name+".\n", "\n\t// The guide shows what precedes.\n")
		if !ok {
			t.Fatalf("%s is not marked", name)
		}
		if want := unindent(region); shown[i] != want {
			t.Errorf("docs/sessions.md shows\n%s\n\nwhat runs is\n%s", shown[i], want)
		}
	}
}

// unindent takes one tab from the beginning of each line.
func unindent(code string) string {
	return strings.ReplaceAll("\n"+code, "\n\t", "\n")[1:]
}
