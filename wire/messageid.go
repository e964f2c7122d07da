package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"parley/peer"
)

// MessageID names one message for all time: who sent it, in which of the sender's
// incarnations, and its number there. It is comparable; the zero value names none.
//
// Within a session sender and incarnation are known, so a block carries only Seq.
type MessageID struct {
	Sender      peer.ID
	Incarnation uint64 // random, never zero in a message sent
	Seq         uint64 // counted from 1
}

// IsZero reports whether id is the zero value.
func (id MessageID) IsZero() bool { return id == MessageID{} }

// String returns the sender's id, the incarnation in 16 hexadecimal digits and
// the sequence number in decimal, joined by slashes.
func (id MessageID) String() string {
	return fmt.Sprintf("%s/%016x/%d", id.Sender, id.Incarnation, id.Seq)
}

// errMessageID does not repeat the text, which may be a stranger's.
var errMessageID = errors.New("wire: not a message id: want sender/incarnation/sequence")

// ParseMessageID reads what [MessageID.String] writes, with an incarnation and a
// sequence number that are not zero, and nothing else: each id has one text.
func ParseMessageID(s string) (MessageID, error) {
	sender, rest, ok1 := strings.Cut(s, "/")
	incarnation, seq, ok2 := strings.Cut(rest, "/")
	// Lower case, 16 digits: hex.Decode takes capitals too.
	if !ok1 || !ok2 || len(incarnation) != 16 || strings.ToLower(incarnation) != incarnation {
		return MessageID{}, errMessageID
	}
	var id MessageID
	var err error
	if id.Sender, err = peer.ParseID(sender); err != nil {
		return MessageID{}, fmt.Errorf("wire: message id: %w", err)
	}
	raw, err := hex.DecodeString(incarnation)
	if err != nil {
		return MessageID{}, errMessageID
	}
	for _, c := range raw {
		id.Incarnation = id.Incarnation<<8 | uint64(c)
	}
	id.Seq, err = strconv.ParseUint(seq, 10, 64)
	// ParseUint takes leading zeros; a sign it refuses.
	if err != nil || id.Incarnation == 0 || id.Seq == 0 || seq[0] == '0' {
		return MessageID{}, errMessageID
	}
	return id, nil
}
