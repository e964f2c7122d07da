package socket

// closeCode is the application error code with which a connection is closed, on the wire. The numbers
// never change meaning.
type closeCode uint64

const (
	closeGraceful       closeCode = 0  // both sides are done with the session
	closeDrained        closeCode = 1  // this connection is no longer needed; the session goes on
	closeRefused        closeCode = 2  // not admitted
	closeAuthentication closeCode = 3  // wrong network secret
	closeVersion        closeCode = 4  // no common version
	closeSuperseded     closeCode = 5  // a newer session took the place of this one
	closeProtocol       closeCode = 6  // a rule of the protocol was broken
	closeLimit          closeCode = 7  // a limit on resources was reached
	closeTimeout        closeCode = 8  // the handshake took too long
	closeInternal       closeCode = 9  // the host failed
	closeAborted        closeCode = 10 // closed without waiting for what was in flight
	closeStateLost      closeCode = 11 // the session that was to be resumed is not known here
)

var closeToCode = map[closeCode]Code{
	closeGraceful: Closed, closeDrained: Closed, closeRefused: Refused, closeAuthentication: Authentication, closeVersion: Version,
	closeSuperseded: Superseded, closeProtocol: Protocol, closeLimit: Limit, closeTimeout: Timeout, closeInternal: Internal, closeAborted: Closed,
	closeStateLost: StateLost,
}

var codeToClose = map[Code]closeCode{
	Refused: closeRefused, Authentication: closeAuthentication, Version: closeVersion, Superseded: closeSuperseded, Protocol: closeProtocol,
	Limit: closeLimit, Timeout: closeTimeout, Internal: closeInternal, Closed: closeAborted, TooLarge: closeProtocol,
	StateLost: closeStateLost,
}

// meaning is the Code that a peer's close code stands for; unknown ones are Internal.
func (c closeCode) meaning() Code {
	if m, ok := closeToCode[c]; ok {
		return m
	}
	return Internal
}

// resetCode is the error code with which a stream is reset, on the wire.
type resetCode uint64

const (
	resetCanceled resetCode = 0 // the sender or receiver gave up
	resetRefused  resetCode = 1 // nobody accepts streams, or too many wait
	resetTooLarge resetCode = 2 // a block above the receiver's maximum
	resetLimit    resetCode = 3 // the receiver has no memory to spare
	resetClosed   resetCode = 4 // the session is closing
	resetMoved    resetCode = 5 // the stream goes on in another connection
	resetParent   resetCode = 6 // the stream it was a child of has ended
	resetNotFound resetCode = 7 // nobody offers that service
	resetGone     resetCode = 8 // the stream was complete before; only in answer to who still has it

	resetUser resetCode = 1 << 8 // here begin the codes of the application's streams
)

func (c resetCode) meaning() Code {
	switch c {
	case resetRefused:
		return Refused
	case resetTooLarge:
		return TooLarge
	case resetLimit:
		return Limit
	case resetNotFound:
		return NotFound
	case resetCanceled, resetClosed, resetMoved, resetParent, resetGone:
		return Closed
	}
	return Internal
}
