package dispatch_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/peer"
	"parley/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The test protocols use well-known types, so that nothing has to be generated.
type (
	text   = *wrapperspb.StringValue
	number = *wrapperspb.Int64Value
	flag   = *wrapperspb.BoolValue
	blob   = *wrapperspb.BytesValue
)

func say(s string) text { return wrapperspb.String(s) }

func num(n int64) number { return wrapperspb.Int64(n) }

// side is one of two connected peers.
type side struct {
	*dispatch.Dispatcher
	end *dispatchtest.Endpoint
	id  peer.ID
}

// pair connects two peers and closes them after the test.
func pair(t testing.TB, configs ...dispatch.Config) (a, b side) {
	t.Helper()
	configs = append(configs, dispatch.Config{}, dispatch.Config{})
	ea, eb := dispatchtest.NewPair()
	a, b = newSide(t, ea, configs[0]), newSide(t, eb, configs[min(1, len(configs)-1)])
	dispatchtest.Connect(ea, eb)
	return a, b
}

func newSide(t testing.TB, e *dispatchtest.Endpoint, c dispatch.Config) side {
	t.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	d, err := dispatch.New(e, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, d) })
	return side{d, e, e.LocalID()}
}

func shut(t testing.TB, d *dispatch.Dispatcher) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := d.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantCode checks the code of an error and who is said to have failed.
func wantCode(t testing.TB, err error, code wire.Code, byPeer bool) {
	t.Helper()
	if dispatch.CodeOf(err) != code {
		t.Fatalf("error %v: want code %v", err, code)
	}
	var said *dispatch.PeerError
	if errors.As(err, &said) != byPeer {
		t.Fatalf("error %v: said by the peer: %v", err, !byPeer)
	}
}

func blobOf(n int) blob { return wrapperspb.Bytes(make([]byte, n)) }
