package actor

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is returned by a System or Pool that is closed or closing, and
	// is the reason with which System.Close ends processes.
	ErrClosed = errors.New("actor: closed")
	// ErrEnded is returned for a process that has ended or is ending.
	ErrEnded = errors.New("actor: process has ended")
	// ErrMailboxFull is returned by Tell above Options.MaxMailbox; the message
	// was not accepted and the caller still has it.
	ErrMailboxFull = errors.New("actor: mailbox is full")
	// ErrParentEnded is the reason of a process that ended because its parent
	// ended or was restarted.
	ErrParentEnded = errors.New("actor: parent ended")
	// ErrGoexit is the failure of a process whose code called runtime.Goexit
	// (testing.T.FailNow does).
	ErrGoexit = errors.New("actor: process code called runtime.Goexit")
)

// PanicError is the failure of a process, or of a function run on a Pool, that
// panicked.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // stack of the panicking goroutine, as debug.Stack prints it
}

// Error gives the panic value without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("actor: panic: %v", e.Value) }

// Unwrap gives the panic value if it is an error, so that errors.Is sees it.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
