package socket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/peer"
	"parley/socket"
	"parley/socket/record"
	"parley/wire"
)

func (n *node) offer(s socket.Service, r socket.ServiceRules) *socket.Listener {
	n.w.t.Helper()
	l, err := n.Offer(s, r)
	if err != nil {
		n.w.t.Fatal(err)
	}
	return l
}

// B10: several protocols of one service each have their listener, and who opens a stream learns when it is taken.
func TestServices(t *testing.T) { // SV1, SV2
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		one := b.offer(socket.Service{Name: "files", Protocol: "v1"}, socket.ServiceRules{})
		two := b.offer(socket.Service{Name: "files", Protocol: "v2", Description: "newer"}, socket.ServiceRules{})
		if got := one.Addr().String(); got != b.LocalID().String() {
			t.Errorf("the listener's address is %s", got)
		}
		go func() {
			<-time.After(time.Second)
			c, err := two.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = c.Write([]byte("hello"))
			_ = c.Close() // at once: the opener must not take it for a refusal
		}()
		start := time.Now()
		x, err := a.DialService(context.Background(), b.LocalID(), b.addr, "files", "v2")
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < time.Second {
			t.Errorf("taken after %v", d)
		}
		if got, err := io.ReadAll(x); string(got) != "hello" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err = one.AcceptStream(ctx)
		wantCode(t, err, socket.Timeout)
		_, err = b.session(a).AcceptStream(ctx) // it is not for whoever accepts streams
		wantCode(t, err, socket.Timeout)
	})
}

// B10: an unknown pair is a typed refusal that names it.
func TestServiceNotFound(t *testing.T) { // SV2
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		l := b.offer(socket.Service{Name: "files", Protocol: "v1"}, socket.ServiceRules{})
		s := a.dial(b)
		for _, pair := range [][2]string{{"files", "v2"}, {"mail", "v1"}, {"parley", "v1"}} {
			_, err := s.OpenService(context.Background(), pair[0], pair[1])
			var theirs *socket.PeerError
			if !errors.As(err, &theirs) || theirs.Code != socket.NotFound ||
				!strings.Contains(err.Error(), fmt.Sprintf("%q (%q)", pair[0], pair[1])) {
				t.Errorf("got %v", err)
			}
		}
		_ = l.Close()
		_, err := s.OpenService(context.Background(), "files", "v1")
		wantCode(t, err, socket.NotFound)
		for _, pair := range [][2]string{{"", "v1"}, {"files", ""}, {strings.Repeat("x", 129), "v1"}, {"\xff", "v1"}} {
			_, err := s.OpenService(context.Background(), pair[0], pair[1])
			wantCode(t, err, socket.Refused)
		}
		_ = b.Close()
		_, err = s.OpenService(context.Background(), "files", "v1")
		wantCode(t, err, socket.Closed)
		_, err = b.Offer(socket.Service{Name: "files", Protocol: "v1"}, socket.ServiceRules{})
		wantCode(t, err, socket.Closed)
	})
}

// B10: what can be offered, and how often.
func TestOffer(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.node("b")
		long := strings.Repeat("x", wire.MaxServiceName)
		first := b.offer(socket.Service{Name: long, Protocol: long, Description: long + long}, socket.ServiceRules{})
		for name, s := range map[string]socket.Service{
			"twice":            {Name: long, Protocol: long},
			"no name":          {Protocol: "p"},
			"no protocol":      {Name: "n"},
			"long name":        {Name: long + "x", Protocol: "p"},
			"long protocol":    {Name: "n", Protocol: long + "x"},
			"long description": {Name: "n", Protocol: "p", Description: long + long + "x"},
			"not UTF-8":        {Name: "n", Protocol: "p\xff"},
			"reserved":         {Name: "parley", Protocol: "services/1"},
		} {
			_, err := b.Offer(s, socket.ServiceRules{})
			if !errors.Is(err, socket.Refused) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_ = first.Close()
		second := b.offer(first.Service(), socket.ServiceRules{})
		_ = first.Close() // a second time: the other offer stays
		for i := range wire.MaxServices - 1 {
			b.offer(socket.Service{Name: "n", Protocol: fmt.Sprintf("%04d", i)}, socket.ServiceRules{})
		}
		_, err := b.Offer(socket.Service{Name: "one", Protocol: "more"}, socket.ServiceRules{})
		wantCode(t, err, socket.Limit)
		all := slices.Collect(b.Services())
		if len(all) != wire.MaxServices || all[0].Protocol != "0000" || all[len(all)-1] != second.Service() {
			t.Errorf("%d services, %v to %v", len(all), all[0], all[len(all)-1])
		}
	})
}

// B10: a service may be for some peers only, and takes what it has room for.
func TestServiceRefuses(t *testing.T) { // SV2
	inWorld(t, func(w *world) {
		a, b, c := w.node("a"), w.node("b"), w.node("c")
		name := socket.Service{Name: "n", Protocol: "p"}
		l := b.offer(name, socket.ServiceRules{Admit: func(id peer.ID) error {
			if id == c.LocalID() {
				return errors.New("not c")
			}
			return nil
		}})
		s := a.dial(b)
		_, err := c.dial(b).OpenService(context.Background(), "n", "p")
		wantCode(t, err, socket.Refused)

		const more = 5
		results := make(chan error, 100)
		open := func(ctx context.Context, n int) {
			for range n {
				go func() {
					_, err := s.OpenService(ctx, "n", "p")
					results <- err
				}()
			}
		}
		given, giveUp := context.WithCancel(context.Background())
		open(given, 32+more)
		for range more {
			wantCode(t, <-results, socket.Limit)
		}
		select {
		case err := <-results:
			t.Errorf("got %v while nobody accepts", err)
		case <-time.After(time.Minute):
		}
		giveUp()
		for range 32 {
			wantCode(t, <-results, socket.Closed)
		}
		<-time.After(time.Second)
		open(context.Background(), 4) // those that have given up take no place, and are not accepted
		<-time.After(time.Second)
		if _, err := l.AcceptStream(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-results; err != nil {
			t.Error(err)
		}
		for range 3 {
			if _, err := l.AcceptStream(context.Background()); err != nil {
				t.Error(err)
			}
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		given, giveUp = context.WithTimeout(context.Background(), time.Second)
		defer giveUp()
		open(given, 3)
		for range 3 {
			wantCode(t, <-results, socket.Timeout)
		}
		<-time.After(time.Second)
		soon, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err = l.AcceptStream(soon)
		wantCode(t, err, socket.Timeout)
		open(context.Background(), 3)
		<-time.After(time.Second)
		_ = l.Close()
		for range 3 {
			wantCode(t, <-results, socket.Refused)
		}
		_, err = l.Accept()
		wantCode(t, err, socket.Closed)
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v is not net.ErrClosed", err)
		}

		l = b.offer(name, socket.ServiceRules{})
		go func() { _ = b.Close() }()
		_, err = l.Accept()
		wantCode(t, err, socket.Closed)
	})
}

// B10: no peer fills a listener alone, and the queue of all has a bound.
func TestServiceQueue(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.node("b")
		l := b.offer(socket.Service{Name: "n", Protocol: "p"}, socket.ServiceRules{})
		waiting := make(chan error, 200)
		for i := range 5 {
			s := w.node(fmt.Sprint("peer", i)).dial(b)
			for range 30 {
				go func() {
					_, err := s.OpenService(context.Background(), "n", "p")
					waiting <- err
				}()
			}
			<-time.After(time.Second)
		}
		for range 5*30 - 128 {
			wantCode(t, <-waiting, socket.Limit)
		}
		for range 128 {
			if _, err := l.AcceptStream(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := <-waiting; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// B10, C9: opening a stream to a service waits for the connection, or for a lost answer.
func TestServiceWithoutConnection(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		l := b.offer(socket.Service{Name: "n", Protocol: "p"}, socket.ServiceRules{Listed: true})
		s := a.dial(b)
		for _, after := range []time.Duration{0, rtt / 4, rtt / 2, rtt * 3 / 4} {
			opened := make(chan error, 2)
			go func() {
				_, err := s.OpenService(context.Background(), "n", "p")
				opened <- err
			}()
			go func() {
				list, err := s.Services(context.Background())
				if err == nil && len(list) != 1 {
					err = fmt.Errorf("got %v", list)
				}
				opened <- err
			}()
			<-time.After(after)
			w.cut(a, b, true)
			<-time.After(time.Minute)
			w.cut(a, b, false)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			if _, err := l.AcceptStream(ctx); err != nil {
				t.Errorf("after %v: %v", after, err)
			}
			cancel()
			for range 2 {
				select {
				case err := <-opened:
					if err != nil {
						t.Errorf("after %v: %v", after, err)
					}
				case <-time.After(time.Minute):
					t.Fatalf("after %v: no answer", after)
				}
			}
		}
	})
}

// B10: a peer learns of what is listed for it.
func TestListOfServices(t *testing.T) { // SV3, SV4
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		s := a.dial(b)
		if got, err := s.Services(context.Background()); err != nil || len(got) != 0 {
			t.Errorf("got %v, %v of a host that offers nothing", got, err)
		}
		text := strings.Repeat("d", wire.MaxServiceDescription)
		var want []socket.Service
		for i := range wire.MaxServices - 2 {
			want = append(want, socket.Service{Name: "n", Protocol: fmt.Sprintf("%04d", i), Description: text})
			b.offer(want[i], socket.ServiceRules{Listed: true})
		}
		b.offer(socket.Service{Name: "n", Protocol: "private"}, socket.ServiceRules{})
		b.offer(socket.Service{Name: "n", Protocol: "for others"}, socket.ServiceRules{
			Listed: true, Admit: func(peer.ID) error { return errors.New("no") },
		})
		got, err := s.Services(context.Background())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %d services, %v", len(got), err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), rtt/2)
		defer cancel()
		_, err = s.Services(ctx)
		wantCode(t, err, socket.Timeout)
	})
}

// Who asks for more lists than it reads is told so: what it does not read is not held without bound.
func TestListsUnread(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		b.offer(socket.Service{Name: "n", Protocol: "p"}, socket.ServiceRules{Listed: true})
		s := a.dial(b)
		var unread []*socket.Stream
		for range 4 {
			x, err := s.OpenService(context.Background(), "parley", "services/1")
			if err != nil {
				t.Fatal(err)
			}
			unread = append(unread, x)
		}
		_, err := s.Services(context.Background())
		wantCode(t, err, socket.Limit)
		_, _ = io.ReadAll(unread[0])
		unread[1].Reset(1)
		<-time.After(time.Second)
		for range 2 {
			if _, err := s.Services(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
}

// A peer's list is bounded, and what makes no sense is an error and no more.
func TestReadServices(t *testing.T) { // SV4
	entry, err := wire.AppendService(nil, &wire.Service{Name: "n", Protocol: "p"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		count int
		entry []byte
		tail  []byte
		ok    bool
	}{
		"full":     {count: wire.MaxServices, entry: entry, ok: true},
		"too many": {count: wire.MaxServices + 1, entry: entry},
		"too long": {count: 1, entry: append(slices.Clone(entry), bytes.Repeat([]byte{0x20, 1}, wire.MaxService)...)},
		"no entry": {count: 1, entry: []byte{0xff}},
		"cut":      {count: 1, entry: entry, tail: []byte{8, 1}},
	} {
		var b bytes.Buffer
		r := record.NewWriter(&b)
		for range c.count {
			_ = r.WriteRecord(c.entry)
		}
		b.Write(c.tail)
		list, err := socket.ReadServices(&b)
		if (err == nil) != c.ok || c.ok && len(list) != c.count {
			t.Errorf("%s: %d services, %v", name, len(list), err)
		}
	}
}
