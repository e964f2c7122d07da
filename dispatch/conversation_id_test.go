package dispatch_test

import (
	"testing"

	"parley/dispatch"
	"parley/wire"
)

// D5: both ends know a conversation by the same id, whoever began it.
func TestConversationIDIsTheSameAtBothEnds(t *testing.T) {
	a, b := pair(t)
	ids := make(chan wire.MessageID, 1)
	behavior, err := dispatch.NewBehavior[int]()
	must(t, err)
	must(t, dispatch.Converse(b.Dispatcher, func(c *dispatch.Conversation, _ text) (int, error) {
		ids <- c.ID()
		return 0, nil
	}, behavior))
	c, err := dispatch.Open(t.Context(), a.Dispatcher, b.id, say("hello"), 0, behavior)
	must(t, err)
	if got := <-ids; got != c.ID() || got.Incarnation == 0 || got.Sender != a.id {
		t.Errorf("%v at the end that began it, %v at the other", c.ID(), got)
	}
}
