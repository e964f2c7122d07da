// Package dispatch gives each message that a peer sends to the one function it
// belongs to: a handler, a waiting call or a conversation. It is what programs on
// Parley are written against.
//
// # Asking and answering
//
// A peer answers a type of message with [Handle], and another calls it with [Ask]:
//
//	dispatch.Handle(d, func(ctx context.Context, q *pb.Ping) (*pb.Pong, error) { … })
//
//	pong, err := dispatch.Ask[*pb.Pong](ctx, d, id, &pb.Ping{})
//
// Handlers run concurrently and keep no state between calls. Deadlines and
// cancellation of the caller's context reach the handler's. [Notify] and
// [HandleOneWay] are for messages without an answer, [AskMany] and [HandleMany] for
// requests with many, [AskService] and [HandleService] for services known by a
// number.
//
// # Conversations
//
// An exchange that has a state is a conversation. One peer begins it with [Open],
// the other has said with [Converse] what such a beginning leads to; from then on
// each end has a state of its own type and a [Behavior], a table of what to do with
// each type of message:
//
//	var b = dispatch.MustBehavior(
//		dispatch.On((*chat).line),
//		dispatch.OnEnd((*chat).end),
//	)
//	dispatch.Converse(d, func(c *dispatch.Conversation, hello *pb.Hello) (*chat, error) { … }, b)
//
// Each [Conversation] handles one thing at a time, so its state needs no lock;
// different ones run in parallel. Within one, [Request] asks and has the reply come
// to a function together with the state, and [Do] lets other goroutines join in.
// Either end may end it at any time, and each is told why. Conversations may have
// children ([OpenChild]) that end with them.
//
// A sender can be ahead of its receiver by [Window] bytes for each conversation;
// then [Conversation.Send] waits, and nothing else does. A single message may be larger.
//
// [Conversation.End] after the last Send loses nothing: the peer handles what was sent
// before it, then its OnEnd is told nil. OnEnd is told an error if anything that the
// peer sent was discarded.
//
// # Shutting down
//
// End what is to end normally, close the Dispatcher, then the transport:
//
//	c.End()
//	err = d.Close(ctx)        // waits until ends and replies are with the host
//	err = host.Shutdown(ctx)  // waits until the peers have them
//
// # Where a block goes
//
// Every block names the message type, and up to two things before it. That decides:
//
//	in-reply-to  in-regards-to   goes to
//	–            –               the handler registered for the type, or a fresh conversation
//	a request    –               who waits for that reply
//	–            a conversation  that conversation
//	a request    a conversation  the reply handler, with the conversation's state;
//	                             if nobody waits for the reply, the conversation
//	–            a service       that service's handler
//
// A conversation is named by the id of the message that began it. Its first answer is
// in reply to that message, what follows regards it. Ids belong to a session with one
// peer: nothing that a peer sends reaches what another peer began.
//
// # Errors
//
// What this side failed at is an [*Error], what the peer said is a [*PeerError];
// both have a [wire.Code], which [CodeOf] finds: compare that, as in
// dispatch.CodeOf(err) == wire.NotFound. A handler chooses what its peer is
// told with [Errorf]; of other errors and of panics the peer learns nothing but that
// they happened. A panic ends the request or conversation it happened in, with a log
// line, and nothing else.
//
// # Limits
//
// Whatever a peer can make this side hold is bounded by [Limits], for each session. A
// message with its head may be as long as the longest block that the peer's transport
// takes: wire.DefaultMaxBlock, 16 MiB, unless its socket.Config says otherwise. A
// longer one is ResourceExhausted. Bulk belongs on streams of package socket.
//
// A block that reaches no handler is counted by its reason in [Stats].Dropped:
//
//	no-id, unknown-type, unknown-service, wrong-exchange, duplicate    begins nothing; refused with a status
//	too-many-requests, too-many-conversations, too-much-queued         a limit; refused, or ends the conversation
//	no-request                                                         a reply to nothing: late, repeated or made up
//	foreign-reply                                                      a reply in another conversation than asked in
//	no-conversation, told-enough                                       regards what never was; the peer is told, in moderation
//	crossed-end                                                        regards what has just ended
//	early-limit, early-expired                                         overtook its beginning
//	over-credit                                                        more than was granted; ends the conversation
//	other-incarnation, misplaced-status, misplaced-regards             makes no sense here
//	bad-header, bad-payload, unexpected                                not what it should be; answered or ends the conversation
//	outbox-full                                                        a status that could not be queued
//	session-gone                                                       came for a session that is down
//
// # Messages
//
// Messages are ordinary generated protobuf messages: a .proto file and
// protoc-gen-go, by buf or protoc, as for any Go program; nothing of this project's
// is generated from them. Give every file a package: the full name of a message is
// what its number on the wire follows from.
//
// # Time
//
// A conversation's timer is one of package time that hands work to the conversation:
//
//	t := time.AfterFunc(time.Minute, func() { _ = dispatch.Do(c, (*game).tooSlow) })
//
// Stop it in an [OnEnd]; after the end Do does nothing but return an error.
//
// Nothing here waits by polling, so dispatchers work in testing/synctest bubbles;
// package dispatchtest joins them in memory.
package dispatch
