package socket

// State is where a session is in its life (C3). It only ever moves forward:
//
//	          dial or accept           peer accepts             Close, or the peer's
//	StateInit ─────────────▶ StateHandshaking ─────────▶ StateEstablished ─────────▶ StateClosing ─▶ StateClosed
//	                                │                           │                                       ▲
//	                                └── no connection made ─────┴── a needed connection died ───────────┘
type State int32

// The states: what each sends and accepts.
const (
	StateInit        State = iota // nothing
	StateHandshaking              // Hello and Accept, on one or more connections; no block is sent or handed up
	StateEstablished              // everything
	StateClosing                  // delivers what was accepted before; new sends fail with Closed
	StateClosed                   // nothing; Session.Err says why
)

func (s State) String() string {
	switch s {
	case StateInit:
		return "init"
	case StateHandshaking:
		return "handshaking"
	case StateEstablished:
		return "established"
	case StateClosing:
		return "closing"
	case StateClosed:
		return "closed"
	}
	return "unknown"
}
