package router

import (
	"time"

	"parley/wire"
)

// Side says who began a conversation.
type Side uint8

// The two sides.
const (
	Ours   Side = iota // begun by this side
	Theirs             // begun by the peer
)

// Key names a conversation or a request within a session.
type Key struct {
	Side Side
	ID   uint64 // the number of the message that began it
}

// Regards returns how a block from this side names k.
func (k Key) Regards() wire.RegardsKind {
	if k.Side == Ours {
		return wire.RegardsSender
	}
	return wire.RegardsReceiver
}

// Block is an arrived block that was put aside. It is immutable.
type Block struct {
	Header   wire.Header
	Payload  []byte
	Received time.Time
}

// EffectKind says what the caller is to do.
type EffectKind uint8

// The kinds of effect, with the fields of [Effect] that each sets besides Held.
const (
	_            EffectKind = iota
	Request                 // start the handler for the type; then BindRequest, later Done. ID
	OneWay                  // start the handler for the type; later Done. ID
	Service                 // start the service's handler; then BindRequest, later Done. ID
	Begin                   // create a conversation; then BindConversation, later Gone. Key
	Reply                   // hand to who asked. Ask, Last
	Message                 // hand to the conversation, later Consumed. Key, Conv
	ReplyIn                 // hand to who asked, within its conversation, later Consumed. Key, Conv, Ask, Last
	PeerEnded               // the peer ended it, after all earlier messages; later Gone. Key, Conv
	Violated                // the peer broke a rule: end it with this status; later Gone. Key, Conv, Code, Text
	PeerCanceled            // the peer gave up on a request: cancel the handler. ID, Req
	MoreCredit              // a sender waiting for credit may try again. Key, Conv
	AskLost                 // the session is down: no reply will come. Ask
	Lost                    // the session is down: the conversation is over; later Gone. Key, Conv
	RequestLost             // the session is down: cancel the handler. ID, Req
	Grant                   // send the peer credit. Key, Credit
	Tell                    // send an end with this status about Key. Key, Code, Text
	Refuse                  // count Reason, and send a status in reply to ID. ID, Reason, Code, Text
	Drop                    // count Reason. Reason
)

var effectNames = [...]string{
	Request: "request", OneWay: "one-way", Service: "service", Begin: "begin", Reply: "reply",
	Message: "message", ReplyIn: "reply-in-conversation", PeerEnded: "peer-ended", Violated: "violated",
	PeerCanceled: "peer-canceled", MoreCredit: "more-credit", AskLost: "ask-lost", Lost: "lost",
	RequestLost: "request-lost", Grant: "grant", Tell: "tell", Refuse: "refuse", Drop: "drop",
}

// String returns the kind's name.
func (k EffectKind) String() string { return effectNames[k] }

// Effect is one thing for the caller to do. Effects are to be carried out in
// order. A is the caller's value for a pending reply, C that for a conversation,
// R that for a running request.
type Effect[A, C, R any] struct {
	Kind   EffectKind
	Reason Reason
	Last   bool // no more replies to the same message
	Code   wire.Code
	Text   string // for the peer; a constant
	ID     uint64
	Key    Key
	Credit uint64 // absolute offset in bytes
	Ask    A
	Conv   C
	Req    R

	// Held is the block that the effect concerns when it is another than the one
	// just routed.
	Held *Block
}

// Reason says why a block was dropped or refused.
type Reason uint8

// The reasons.
const (
	NoID                 Reason = iota + 1 // begins something that could not be answered
	UnknownType                            // no handler for the type
	UnknownService                         // no such service, or not for that type
	WrongExchange                          // a request, one-way message or beginning where it is another
	Duplicate                              // a begin with the number of a live or recent one
	TooManyRequests                        // the peer's requests reached Limits.Requests or RequestBytes
	TooManyConversations                   // the peer's conversations reached Limits.Conversations
	TooMuchQueued                          // its conversations' messages reached Limits.QueuedBytes
	NoRequest                              // a reply to nothing: late, repeated or made up
	ForeignReply                           // a reply in a conversation to what was not asked in it
	NoConversation                         // regards a conversation that never was
	CrossedEnd                             // regards what has just ended
	EarlyLimit                             // overtook its begin, with too many others
	EarlyExpired                           // overtook its begin, which did not come in time
	OverCredit                             // more than was granted
	OtherIncarnation                       // counts in an incarnation that is gone
	MisplacedStatus                        // a status about nothing
	MisplacedRegards                       // regards a request, or something where nothing can be
	ToldEnough                             // the peer would have been told, too often
	BadHeader                              // the head does not parse
	BadPayload                             // the payload does not parse as its type
	OutboxFull                             // a status could not be queued
	SessionGone                            // arrived for a session that is down
	Unexpected                             // the conversation has no case for the type
	NumReasons
)

var reasonNames = [NumReasons]string{
	NoID: "no-id", UnknownType: "unknown-type", UnknownService: "unknown-service", WrongExchange: "wrong-exchange",
	Duplicate: "duplicate", TooManyRequests: "too-many-requests", TooManyConversations: "too-many-conversations",
	TooMuchQueued: "too-much-queued", NoRequest: "no-request", ForeignReply: "foreign-reply",
	NoConversation: "no-conversation", CrossedEnd: "crossed-end", EarlyLimit: "early-limit",
	EarlyExpired: "early-expired", OverCredit: "over-credit", OtherIncarnation: "other-incarnation",
	MisplacedStatus: "misplaced-status", MisplacedRegards: "misplaced-regards", ToldEnough: "told-enough",
	BadHeader: "bad-header", BadPayload: "bad-payload", OutboxFull: "outbox-full", SessionGone: "session-gone",
	Unexpected: "unexpected",
}

// String returns the reason's name, as it appears in statistics.
func (r Reason) String() string { return reasonNames[r] }
