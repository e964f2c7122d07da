package wire

import (
	"math"
	"unicode/utf8"

	"parley/schema/parleyv1"
)

// checkControl returns the first rule of its kind that a frame breaks, and the
// field that breaks it; the reason is 0 if there is none.
func checkControl(m *Control) (field string, reason Reason) {
	switch k := m.GetKind().(type) {
	case *parleyv1.Control_Hello:
		return checkHello(k.Hello)
	case *parleyv1.Control_Accept:
		return checkAccept(k.Accept)
	case *parleyv1.Control_Ack:
		return checkAck(k.Ack)
	case *parleyv1.Control_Close:
		if r := checkText(k.Close.GetMessage(), MaxCloseMessage); r != 0 {
			return "message", r
		}
		return "", 0
	case *parleyv1.Control_Closed:
		return "", 0
	case *parleyv1.Control_Ping:
		return checkTime("send_time", k.Ping.GetSendTime())
	case *parleyv1.Control_Pong:
		if field, reason = checkTime("send_time", k.Pong.GetSendTime()); reason != 0 {
			return field, reason
		}
		return checkTime("receive_time", k.Pong.GetReceiveTime())
	case *parleyv1.Control_Outdated:
		if k.Outdated.GetIncarnation() == 0 {
			return "incarnation", MissingField
		}
		return "", 0
	}
	return "kind", UnknownKind
}

func checkHello(h *Hello) (field string, reason Reason) {
	if h.GetPeerIncarnation() == 0 && len(h.GetReceived()) > 0 {
		return "received", UnexpectedData // there is nothing to resume
	}
	return checkOffer(h, h.GetReceived())
}

func checkAccept(a *Accept) (field string, reason Reason) {
	switch {
	case a.GetPeerIncarnation() == 0:
		return "peer_incarnation", MissingField
	case !a.GetResumed() && len(a.GetReceived()) > 0:
		return "received", UnexpectedData
	}
	return checkOffer(a, a.GetReceived())
}

func checkAck(a *Ack) (field string, reason Reason) {
	switch {
	case len(a.GetReceived()) == 0 && len(a.GetStreams()) == 0:
		return "received", MissingField
	case len(a.GetStreams()) > MaxStreamCounts:
		return "streams", TooLong
	}
	for _, c := range a.GetStreams() {
		switch {
		case c.GetStream() == 0:
			return "streams", MissingField
		case c.GetStream() > MaxStreamNumber:
			return "streams", TooLarge
		}
	}
	return checkCounts("received", a.GetReceived())
}

// offer is what Hello and Accept share.
type offer interface {
	GetVersion() uint32
	GetIncarnation() uint64
	GetProof() []byte
	GetCapabilities() []uint32
	GetLanes() uint32
	GetMaxBlock() uint64
	GetAgent() string
	GetConnections() uint32
}

func checkOffer(o offer, received []*LaneCount) (field string, reason Reason) {
	switch {
	case o.GetVersion() == 0:
		return "version", MissingField
	case o.GetIncarnation() == 0:
		return "incarnation", MissingField
	case len(o.GetProof()) != 0 && len(o.GetProof()) != ProofSize:
		return "proof", BadLength
	case len(o.GetCapabilities()) > MaxCapabilities:
		return "capabilities", TooLong
	case o.GetLanes() == 0:
		return "lanes", MissingField
	case o.GetLanes() > MaxLanes:
		return "lanes", TooLarge
	case o.GetMaxBlock() == 0:
		return "max_block", MissingField
	case o.GetConnections() > MaxConnections:
		return "connections", TooLarge
	}
	for i, c := range o.GetCapabilities() {
		if i > 0 && c <= o.GetCapabilities()[i-1] {
			return "capabilities", BadOrder
		}
	}
	if r := checkText(o.GetAgent(), MaxAgent); r != 0 {
		return "agent", r
	}
	return checkCounts("received", received)
}

// checkCounts refuses lanes that do not exist or stand twice.
func checkCounts(name string, counts []*LaneCount) (field string, reason Reason) {
	var seen uint64 // one bit for each of the MaxLanes lanes
	for _, c := range counts {
		switch lane := c.GetLane(); {
		case lane >= MaxLanes:
			return name, TooLarge
		case seen&(1<<lane) != 0:
			return name, BadOrder
		default:
			seen |= 1 << lane
		}
	}
	return "", 0
}

func checkText(s string, limit int) Reason {
	switch {
	case len(s) > limit:
		return TooLong
	case !utf8.ValidString(s):
		return BadMessage
	}
	return 0
}

func checkTime(name string, us uint64) (field string, reason Reason) {
	if us > math.MaxInt64 {
		return name, TooLarge
	}
	return "", 0
}
