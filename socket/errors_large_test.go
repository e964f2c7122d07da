package socket_test

import (
	"errors"
	"fmt"
	"testing"

	"parley/socket"
)

func TestErrorsTellTooLarge(t *testing.T) {
	for err, want := range map[error]bool{
		&socket.Error{Code: socket.TooLarge}: true, &socket.PeerError{Code: socket.TooLarge}: true,
		&socket.Error{Code: socket.Timeout}: false, &socket.PeerError{Code: socket.Closed}: false,
	} {
		var large interface{ TooLarge() bool }
		if !errors.As(fmt.Errorf("wrapped: %w", err), &large) || large.TooLarge() != want {
			t.Errorf("%v", err)
		}
	}
}
