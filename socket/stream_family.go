package socket

import "context"

// SubstreamPolicy is what happens to the children that the peer opens on a stream.
type SubstreamPolicy uint8

// The policies.
const (
	// SubstreamQueue keeps children until the application decides or accepts. It is what every stream
	// begins with, for up to 16 of them.
	SubstreamQueue SubstreamPolicy = iota
	// SubstreamListen keeps children for AcceptStream.
	SubstreamListen
	// SubstreamRefuse refuses children, those that wait included.
	SubstreamRefuse
)

// Limits on children that wait.
const (
	undecidedSubstreams = 16  // on a stream that has no policy yet
	defaultSubstreams   = 128 // with SubstreamListen, if the application says nothing else
)

// family is the children of a stream, of both sides.
type family struct {
	kids    map[*flow]struct{}
	queue   []*Stream // the peer's, for AcceptStream
	policy  SubstreamPolicy
	limit   int  // of queue; 0 until a policy is set
	closed  bool // the parent has ended
	changed signal
}

func (y *family) add(f *flow) {
	if y.kids == nil {
		y.kids = make(map[*flow]struct{})
	}
	y.kids[f] = struct{}{}
}

// offer queues a child of the peer's.
func (y *family) offer(x *Stream) (refusal resetCode) {
	limit := y.limit
	if limit == 0 {
		limit = undecidedSubstreams
	}
	if y.policy == SubstreamRefuse || len(y.queue) >= limit {
		return resetRefused
	}
	y.queue = append(y.queue, x)
	y.changed.fire()
	return 0
}

// close ends the accepting of children. It returns them.
func (y *family) close() map[*flow]struct{} {
	kids := y.kids
	y.kids, y.queue, y.closed = nil, nil, true
	y.changed.fire()
	return kids
}

// endKids ends the children of a stream that has ended, and theirs. It returns all of them, for the caller
// to free once t.mu, which is held, is not.
func (t *streams) endKids(f *flow) (ended []*flow) {
	for parents := []*flow{f}; len(parents) > 0; parents = parents[1:] {
		for kid := range parents[0].family.close() {
			kid.mu.Lock()
			if kid.abort(resetParent) {
				t.remark(kid)
			}
			kid.mu.Unlock()
			parents, ended = append(parents, kid), append(ended, kid)
		}
	}
	return ended
}

// ended does what follows when we have ended a stream: its carrier is freed, its children end, and the peer
// is told if there is news.
func (t *streams) ended(f *flow, news bool) {
	f.free()
	t.mu.Lock()
	kids := t.endKids(f)
	if news {
		t.remark(f)
	}
	t.mu.Unlock()
	t.retire(nil, kids)
	if news {
		t.env.ackNow()
	}
}

// OpenStream opens a child of the stream (B5): a stream like any other, but one that ends with its parent,
// on both sides, and that the peer accepts with AcceptStream of the parent. No round trip is needed. It
// blocks only while Config.MaxStreams streams of ours are open, until ctx ends.
func (x *Stream) OpenStream(ctx context.Context) (*Stream, error) {
	child := x.t.newStream()
	child.parent = x.flow
	child.head.Parent = x.id.ref()
	if err := x.t.create(ctx, "open stream", child.flow); err != nil {
		return nil, err
	}
	return child, nil
}

// AcceptStream returns the next child that the peer has opened on the stream (B5), until ctx ends. The error
// has the code Closed when the stream has ended. It may be called concurrently.
func (x *Stream) AcceptStream(ctx context.Context) (*Stream, error) {
	t, y := x.t, &x.family
	for {
		t.mu.Lock()
		if len(y.queue) > 0 {
			child := y.queue[0]
			y.queue[0] = nil
			y.queue = y.queue[1:]
			t.mu.Unlock()
			child.take()
			return child, nil
		}
		closed, changed := y.closed, y.changed.wait()
		t.mu.Unlock()
		if closed {
			return nil, t.closed("accept stream")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctxError(ctx, "accept stream", t.peer)
		}
	}
}

// Substreams says what to do with children that the peer opens (B5), and how many may wait for AcceptStream;
// further ones are refused, and the peer's calls on them fail with Refused. Zero is 128 with SubstreamListen
// and the session's limit on streams with SubstreamQueue; SubstreamRefuse does not use it.
func (x *Stream) Substreams(policy SubstreamPolicy, queue int) {
	t := x.t
	switch {
	case queue <= 0 && policy == SubstreamListen:
		queue = defaultSubstreams
	case queue <= 0:
		queue = t.limit
	}
	t.mu.Lock()
	y := &x.family
	y.policy, y.limit = policy, queue
	var refused []*Stream
	if policy == SubstreamRefuse {
		refused, y.queue = y.queue, nil
	}
	t.mu.Unlock()
	for _, child := range refused {
		child.giveUp(resetRefused)
	}
}
