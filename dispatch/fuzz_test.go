package dispatch_test

import (
	"errors"
	"runtime"
	"testing"

	"parley/dispatch"
	"parley/dispatch/dispatchtest"
	"parley/wire"
)

// FuzzBlocks lets a peer send anything, as several blocks, each after its length in
// one byte: nothing panics, and when the session is over nothing is left of it.
func FuzzBlocks(f *testing.F) {
	a, b := pair(f)
	must(f, dispatch.Handle(b.Dispatcher, length))
	k := &counter{}
	bh, err := dispatch.NewBehavior(
		dispatch.On(func(*counter, *dispatch.Conversation, number) error { return nil }),
		dispatch.OnRequest(func(_ *counter, _ *dispatch.Conversation, m flag) (flag, error) { return m, nil }),
	)
	must(f, err)
	must(f, dispatch.Converse(b.Dispatcher, func(c *dispatch.Conversation, m blob) (*counter, error) {
		return k, c.Send(m)
	}, bh))

	block := func(h wire.Header, payload ...byte) []byte {
		out, err := h.Append(nil, len(payload))
		must(f, err)
		out = append(out, payload...)
		return append([]byte{byte(len(out))}, out...)
	}
	types := map[string]wire.Type{
		"text":   wire.TypeOf("google.protobuf.StringValue"),
		"number": wire.TypeOf("google.protobuf.Int64Value"),
		"flag":   wire.TypeOf("google.protobuf.BoolValue"),
		"blob":   wire.TypeOf("google.protobuf.BytesValue"),
	}
	request := block(wire.Header{Type: types["text"], ID: 1}, 0x0a, 1, 'x')
	begin := block(wire.Header{Type: types["blob"], ID: 2, Flags: wire.FlagBegin}, 0x0a, 1, 'x')
	message := block(wire.Header{Type: types["number"], ID: 3, Regards: wire.RegardsSender, RegardsID: 2}, 0x08, 1)
	inside := block(wire.Header{Type: types["flag"], ID: 4, Regards: wire.RegardsSender, RegardsID: 2}, 0x08, 1)
	grant := block(wire.Header{Regards: wire.RegardsSender, RegardsID: 2, Credit: 1 << 40})
	end := block(wire.Header{Type: wire.TypeOf("parley.v1.Status"), Regards: wire.RegardsSender, RegardsID: 2, Flags: wire.FlagLast | wire.FlagError})
	answer := block(wire.Header{Type: types["number"], ID: 5, InReplyTo: 1}, 0x08, 1)
	refusal := block(wire.Header{Type: wire.TypeOf("parley.v1.Status"), InReplyTo: 1, Flags: wire.FlagError}, 0x08, 5)
	for _, seed := range [][][]byte{
		{request}, {begin, message, inside, grant, end}, {message, begin, end, message}, {answer}, {refusal},
		{begin, begin, request, request}, {end, begin}, {{3, 0xff, 0xff, 0xff}},
	} {
		var all []byte
		for _, s := range seed {
			all = append(all, s...)
		}
		f.Add(all)
	}

	f.Fuzz(func(t *testing.T, data []byte) {
		dispatchtest.Connect(a.end, b.end)
		// Something that answers may be about.
		c, err := dispatch.Open(t.Context(), b.Dispatcher, a.id, say("x"), k, bh)
		must(t, err)
		for len(data) > 0 {
			n := min(int(data[0]), len(data)-1)
			must(t, b.end.Inject(a.id, uint64(data[0]), append([]byte(nil), data[1:1+n]...)))
			data = data[1+n:]
		}
		dispatchtest.Disconnect(a.end, b.end, errors.New("enough"))
		<-c.Done()
		for range 1_000_000 {
			if st := b.Stats(); st.Conversations+st.Requests+st.Pending+st.Early == 0 {
				return
			}
			runtime.Gosched()
		}
		t.Fatalf("left over: %+v", b.Stats())
	})
}
