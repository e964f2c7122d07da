package router

import (
	"testing"
	"time"

	"parley/wire"
)

func BenchmarkReply(b *testing.B) { // the target is no allocation
	b.ReportAllocs()
	r := New[*int, *int, *int](modelLimits, modelTable{})
	now := time.Now()
	payload := make([]byte, 100)
	out := make([]Effect[*int, *int, *int], 0, 4)
	for b.Loop() {
		id, err := r.Ask(nil)
		if err != nil {
			b.Fatal(err)
		}
		h := wire.Header{Type: typeOther, ID: 1, InReplyTo: id}
		out = r.Arrive(now, &h, payload, out[:0])
	}
}

func BenchmarkRequest(b *testing.B) {
	b.ReportAllocs()
	r := New[*int, *int, *int](modelLimits, modelTable{})
	now := time.Now()
	payload := make([]byte, 100)
	out := make([]Effect[*int, *int, *int], 0, 4)
	var id uint64
	for b.Loop() {
		id++
		h := wire.Header{Type: typeRequest, ID: id}
		out = r.Arrive(now, &h, payload, out[:0])
		out = r.BindRequest(now, id, nil, out[:0])
		r.Done(id, Cost(len(payload)))
	}
}

func BenchmarkMessage(b *testing.B) {
	b.ReportAllocs()
	r := New[*int, *int, *int](modelLimits, modelTable{})
	now := time.Now()
	payload := make([]byte, 100)
	out := make([]Effect[*int, *int, *int], 0, 4)
	begin := wire.Header{Type: typeBegin, ID: 1, Flags: wire.FlagBegin}
	r.Arrive(now, &begin, nil, out)
	r.BindConversation(now, 1, nil, out)
	h := wire.Header{Type: typeOther, ID: 2, Regards: wire.RegardsSender, RegardsID: 1}
	for b.Loop() {
		out = r.Arrive(now, &h, payload, out[:0])
		out = r.Consumed(Key{Theirs, 1}, Cost(len(payload)), out[:0])
	}
}

func TestReplyAllocatesNothing(t *testing.T) {
	r := New[*int, *int, *int](modelLimits, modelTable{})
	now := time.Now()
	out := make([]Effect[*int, *int, *int], 0, 4)
	allocs := testing.AllocsPerRun(1000, func() {
		id, _ := r.Ask(nil)
		h := wire.Header{Type: typeOther, ID: 1, InReplyTo: id}
		out = r.Arrive(now, &h, nil, out[:0])
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
