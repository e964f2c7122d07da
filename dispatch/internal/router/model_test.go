package router

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/wire"
)

// Types of the model tests.
const (
	typeRequest wire.Type = 1 + iota
	typeBegin
	typeOther
)

type modelTable struct{}

func (modelTable) Class(service uint32, t wire.Type) (Class, bool) {
	switch t {
	case typeRequest:
		return Answered, service == 0
	case typeBegin:
		return Conversing, service == 0
	}
	return Unregistered, service == 0
}

var modelLimits = Limits{
	Requests: 8, RequestBytes: 1 << 20, Conversations: 4, OneShots: 6, QueuedBytes: 1 << 20, Window: 1024,
	EarlyBlocks: 4, EarlyBytes: 4096, EarlyWait: 5 * time.Second, Recent: 64, TellBurst: 3, TellInterval: time.Second,
}

// owner names an owner of one of the routers of a test: who it talks to is part of
// it, so that an effect which crosses over shows.
type owner struct {
	peer int
	what string
	id   uint64
}

type modelRouter = Router[owner, owner, owner]

// anyBlock draws a block with references into small numbers, so that they hit.
func anyBlock(t *rapid.T) wire.Header {
	small := rapid.Uint64Range(0, 12)
	h := wire.Header{
		Type:      rapid.SampledFrom([]wire.Type{typeRequest, typeBegin, typeOther}).Draw(t, "type"),
		ID:        small.Draw(t, "id"),
		InReplyTo: rapid.OneOf(rapid.Just(uint64(0)), small).Draw(t, "in reply to"),
		Regards:   wire.RegardsKind(rapid.IntRange(0, 3).Draw(t, "regards")),
		Flags:     wire.Flags(rapid.Uint32Range(0, 63).Draw(t, "flags")),
	}
	if h.Regards != 0 {
		h.RegardsID = rapid.Uint64Range(1, 12).Draw(t, "regards id")
		h.Credit = rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64Range(0, 4096), rapid.Uint64()).Draw(t, "credit")
		if h.Credit != 0 && rapid.Bool().Draw(t, "bare") {
			h.Type = 0
		}
	}
	return h
}

// world runs two routers, of peers 0 and 1, and knows what may happen in each.
type world struct {
	t       *rapid.T
	now     time.Time
	routers [2]*modelRouter
	pending [2]map[uint64]bool // ids this side waits on
	replies map[owner]int      // last replies handed over
	convs   [2][]Key           // live as far as the model knows
	queued  [2][]delivered
	running [2][]uint64
}

type delivered struct {
	key  Key
	cost uint64
}

// apply checks effects of router p and carries them out.
func (w *world) apply(p int, size int, out []Effect[owner, owner, owner]) {
	r := w.routers[p]
	for i := 0; i < len(out); i++ {
		e := out[i]
		size := size
		if e.Held != nil {
			size = len(e.Held.Payload)
		}
		mine := func(o owner, what string) {
			if o.peer != p || o.what != what {
				w.t.Fatalf("an effect %v for peer %d reaches %+v", e.Kind, p, o) // T10
			}
		}
		switch e.Kind {
		case Request:
			w.running[p] = append(w.running[p], e.ID)
			out = r.BindRequest(w.now, e.ID, owner{p, "request", e.ID}, out)
		case OneWay:
			r.Done(0, Cost(size))
		case Begin:
			w.convs[p] = append(w.convs[p], e.Key)
			w.queued[p] = append(w.queued[p], delivered{e.Key, Cost(size)})
			out = r.BindConversation(w.now, e.ID, owner{p, "conversation", e.ID}, out)
		case Reply, ReplyIn:
			mine(e.Ask, "ask")
			if !w.pending[p][e.Ask.id] || e.Ask.id != e.ID {
				w.t.Fatalf("a reply to %d is handed to who waits for %+v", e.ID, e.Ask) // T11
			}
			if e.Last {
				delete(w.pending[p], e.ID)
				if w.replies[e.Ask]++; w.replies[e.Ask] > 1 {
					w.t.Fatalf("%+v gets a last reply twice", e.Ask) // T11
				}
			}
			if e.Kind == ReplyIn {
				mine(e.Conv, "conversation")
				w.queued[p] = append(w.queued[p], delivered{e.Key, Cost(size)})
			}
		case Message:
			mine(e.Conv, "conversation")
			if !slices.Contains(w.convs[p], e.Key) {
				w.t.Fatalf("a message to %v, which is not live", e.Key)
			}
			w.queued[p] = append(w.queued[p], delivered{e.Key, Cost(size)})
		case PeerEnded, Violated, Lost:
			mine(e.Conv, "conversation")
			w.over(p, e.Key)
		case PeerCanceled, RequestLost:
			mine(e.Req, "request")
		case MoreCredit:
			mine(e.Conv, "conversation")
		case AskLost:
			mine(e.Ask, "ask")
		}
	}
}

func (w *world) over(p int, k Key) {
	i := slices.Index(w.convs[p], k)
	if i < 0 {
		w.t.Fatalf("%v ends twice", k)
	}
	w.convs[p] = slices.Delete(w.convs[p], i, i+1)
}

// finish lets everything come to its end and checks that nothing is left.
func (w *world) finish(p int) {
	r := w.routers[p]
	w.apply(p, 0, r.Down(nil))
	for _, id := range w.running[p] {
		r.requests[id] = request[owner]{}
		r.Done(id, 0)
	}
	for side := range r.convs {
		for id := range r.convs[side] {
			r.Gone(Key{Side(side), id})
		}
	}
	if z := r.Sizes(); z.Asks+z.Conversations+z.Early != 0 || z.QueuedBytes != 0 {
		w.t.Fatalf("left over: %+v", z)
	}
}

// Whatever a peer sends, in whatever order, and whatever this side does meanwhile:
// effects reach owners of that peer's session only (T10), each request gets at most
// one last reply and no other's (T11), limits hold (T13), and nothing is left.
func TestAnyInterleaving(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, now: time.Unix(1_900_000_000, 0), replies: make(map[owner]int)}
		for p := range w.routers {
			w.routers[p] = New[owner, owner, owner](modelLimits, modelTable{})
			w.pending[p] = make(map[uint64]bool)
		}
		choose := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		t.Repeat(map[string]func(*rapid.T){
			"arrive": func(t *rapid.T) {
				p, h := choose("peer", 2), anyBlock(t)
				payload := make([]byte, rapid.IntRange(0, 600).Draw(t, "size"))
				if h.Type == 0 {
					payload = nil
				}
				w.apply(p, len(payload), w.routers[p].Arrive(w.now, &h, payload, nil))
			},
			"ask": func(t *rapid.T) {
				p := choose("peer", 2)
				// The router numbers it; the owner has to know the number to check it.
				next := w.routers[p].sequence + 1
				if id, err := w.routers[p].Ask(owner{p, "ask", next}); err == nil {
					w.pending[p][id] = true
				}
			},
			"open": func(t *rapid.T) {
				p := choose("peer", 2)
				next := w.routers[p].sequence + 1
				if id, err := w.routers[p].Open(owner{p, "conversation", next}, Cost(0)); err == nil {
					w.convs[p] = append(w.convs[p], Key{Ours, id})
				}
			},
			"request": func(t *rapid.T) {
				p := choose("peer", 2)
				if len(w.convs[p]) == 0 {
					return
				}
				k := w.convs[p][choose("conversation", len(w.convs[p]))]
				next := w.routers[p].sequence + 1
				if o, err := w.routers[p].Request(k, Cost(100), owner{p, "ask", next}); err == nil {
					w.pending[p][o.ID] = true
				}
			},
			"forget": func(t *rapid.T) {
				p := choose("peer", 2)
				id := rapid.Uint64Range(1, 12).Draw(t, "id")
				if w.routers[p].Forget(id) {
					delete(w.pending[p], id)
				}
			},
			"consume": func(t *rapid.T) {
				p := choose("peer", 2)
				if len(w.queued[p]) == 0 {
					return
				}
				d := w.queued[p][0]
				w.queued[p] = w.queued[p][1:]
				if w.routers[p].convs[d.key.Side][d.key.ID] != nil {
					w.apply(p, 0, w.routers[p].Consumed(d.key, d.cost, nil))
				}
			},
			"end": func(t *rapid.T) {
				p := choose("peer", 2)
				if len(w.convs[p]) == 0 {
					return
				}
				k := w.convs[p][choose("conversation", len(w.convs[p]))]
				if !w.routers[p].End(k) {
					t.Fatalf("%v is not live", k)
				}
				w.over(p, k)
				if rapid.Bool().Draw(t, "gone at once") {
					w.routers[p].Gone(k)
					w.queued[p] = slices.DeleteFunc(w.queued[p], func(d delivered) bool { return d.key == k })
				}
			},
			"tick": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(choose("seconds", 4)) * time.Second)
				for p, r := range w.routers {
					if at := r.Timer(); !at.IsZero() && !w.now.Before(at) {
						w.apply(p, 0, r.Tick(w.now, nil))
					}
				}
			},
			"": func(t *rapid.T) {
				for _, r := range w.routers {
					z := r.Sizes()
					if z.Asks > modelLimits.OneShots || z.Early > modelLimits.EarlyBlocks ||
						len(r.convs[0]) > modelLimits.Conversations || len(r.convs[1]) > modelLimits.Conversations ||
						z.Requests > modelLimits.Requests || z.QueuedBytes > uint64(modelLimits.QueuedBytes) {
						t.Fatalf("limits are exceeded: %+v", z)
					}
					var queued uint64
					for side := range r.convs {
						for _, c := range r.convs[side] {
							queued += c.queued
							if c.queued > modelLimits.Window+Cost(600) {
								t.Fatalf("%v holds %d bytes", c.key, c.queued)
							}
						}
					}
					if queued != z.QueuedBytes {
						t.Fatalf("%d bytes are queued, %d counted", queued, z.QueuedBytes)
					}
				}
			},
		})
		w.finish(0)
		w.finish(1)
	})
}

// A sender and a receiver of one direction, with grants that are delayed, repeated
// and reordered: what the sender may send, the receiver accepts (T12); what is
// queued is bounded; and once all is consumed and granted, anything passes.
func TestCreditAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const window = 1000
		in, out := inbound{granted: window}, outbound{limit: window}
		var wire, queue, grants []uint64
		var queued, largest uint64
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				cost := rapid.Uint64Range(1, 3*window).Draw(t, "cost")
				if out.take(cost, window) {
					wire = append(wire, cost)
				}
			},
			"receive": func(t *rapid.T) {
				if len(wire) == 0 {
					return
				}
				if !in.accept(wire[0], window) {
					t.Fatalf("what the sender may send is a violation")
				}
				queue, queued, largest = append(queue, wire[0]), queued+wire[0], max(largest, wire[0])
				if queued > window+largest {
					t.Fatalf("%d bytes are queued", queued)
				}
				wire = wire[1:]
			},
			"consume": func(t *rapid.T) {
				if len(queue) == 0 {
					return
				}
				if g := in.consume(queue[0], window); g != 0 {
					grants = append(grants, g)
				}
				queued -= queue[0]
				queue = queue[1:]
			},
			"grant": func(t *rapid.T) {
				if len(grants) == 0 {
					return
				}
				i := rapid.IntRange(0, len(grants)-1).Draw(t, "which")
				out.raise(grants[i])
				if rapid.Bool().Draw(t, "forget") {
					grants = slices.Delete(grants, i, i+1)
				}
			},
		})
		for len(wire) > 0 {
			in.accept(wire[0], window)
			queue, wire = append(queue, wire[0]), wire[1:]
		}
		for _, cost := range queue {
			in.consume(cost, window)
		}
		out.raise(in.granted)
		if !out.take(50*window, window) {
			t.Fatalf("nothing is queued and a message does not pass: %+v %+v", in, out)
		}
	})
}

func TestRecent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := recent{most: 128}
		added := make(map[uint64]bool)
		for _, id := range rapid.SliceOf(rapid.Uint64Range(1, 2000)).Draw(t, "ids") {
			r.add(id)
			added[id] = true
			if !r.has(id) {
				t.Fatalf("%d was just added", id)
			}
		}
		for id := uint64(1); id <= 2000; id++ {
			if r.has(id) && !added[id] {
				t.Fatalf("%d never was", id)
			}
		}
	})
	r := recent{most: 64}
	for id := range uint64(1000) {
		r.add(id + 1)
	}
	for id := uint64(1000 - 63); id <= 1000; id++ {
		if !r.has(id) {
			t.Errorf("%d of the last 64 is forgotten", id)
		}
	}
	if len(r.slots) != 64 {
		t.Errorf("%d slots", len(r.slots))
	}
}
