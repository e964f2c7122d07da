package dispatch

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"parley/dispatch/internal/router"
)

// RegistrationError says that a message type has a handler already.
type RegistrationError struct {
	Name    protoreflect.FullName
	Service uint32 // 0 for none
}

// Error describes the clash in one line.
func (e *RegistrationError) Error() string {
	if e.Service != 0 {
		return fmt.Sprintf("dispatch: service %d handles %s already", e.Service, e.Name)
	}
	return fmt.Sprintf("dispatch: %s is handled already", e.Name)
}

var errNoFunction = errors.New("dispatch: no function to register")

// payloadError says that a payload is not what its type says.
type payloadError struct{ err error }

func (e *payloadError) Error() string { return "dispatch: bad payload: " + e.err.Error() }

// text is what the peer may know.
func (e *payloadError) text() string {
	if errors.Is(e.err, errUnknownField) {
		return "the payload has an unknown field"
	}
	return "the payload is not a message of its type"
}

// handler is what is registered for a message type that begins something.
type handler struct {
	class  router.Class
	kind   *kind
	reply  *kind
	serve  func(ctx context.Context, payload []byte) (proto.Message, error)
	stream func(ctx context.Context, payload []byte, send func(proto.Message) error) error
	begin  func(c *Conversation, payload []byte) (machine, error)
	state  any // of conversations that it begins, see Conversation
}

// Handle registers a function that answers requests of type Req with a Resp: it
// is chosen by the message's type alone and keeps no state between calls (D2). It
// runs concurrently with itself, on a worker of its own, and may block.
//
// Its context ends with the peer's deadline, counted from the request's arrival, when
// the peer gives up, and with the session. At the deadline and after its error is
// context.DeadlineExceeded, whatever else happens; before, it is context.Canceled, with
// the reason as its cause. [PeerOf] and [InfoOf] tell more. What it returns as an error becomes a
// status, see [Errorf]; a panic becomes Internal and ends nothing else (A3).
//
// Req and Resp are generated message types, such as *pb.Ping. The error is a
// [*RegistrationError] or says that a type is not concrete or its number taken.
func Handle[Req, Resp proto.Message](d *Dispatcher, f func(ctx context.Context, req Req) (Resp, error)) error {
	if f == nil {
		return errNoFunction
	}
	return register(d, 0, f)
}

// HandleService is Handle for requests addressed to a service by its well-known
// number, not zero (D7). A service may handle several types, each registered with
// it; a type may be handled by several services and also without one.
func HandleService[Req, Resp proto.Message](d *Dispatcher, number uint32, f func(ctx context.Context, req Req) (Resp, error)) error {
	if f == nil {
		return errNoFunction
	}
	if number == 0 {
		return errors.New("dispatch: zero is no service number")
	}
	return register(d, number, f)
}

func register[Req, Resp proto.Message](d *Dispatcher, service uint32, f func(context.Context, Req) (Resp, error)) error {
	req, err := kindOf[Req](d)
	if err != nil {
		return err
	}
	resp, err := kindOf[Resp](d)
	if err != nil {
		return err
	}
	return d.register(service, &handler{
		class: router.Answered, kind: req, reply: resp,
		serve: func(ctx context.Context, payload []byte) (proto.Message, error) {
			m, err := decode[Req](d, req, payload)
			if err != nil {
				return nil, &payloadError{err}
			}
			return f(ctx, m)
		},
	})
}

// HandleOneWay registers a function for messages that are not answered, as sent
// by [Notify]. Apart from the missing answer it is as with [Handle]. A request of
// that type is refused with Unimplemented.
func HandleOneWay[M proto.Message](d *Dispatcher, f func(ctx context.Context, m M)) error {
	if f == nil {
		return errNoFunction
	}
	k, err := kindOf[M](d)
	if err != nil {
		return err
	}
	return d.register(0, &handler{
		class: router.Unanswered, kind: k,
		serve: func(ctx context.Context, payload []byte) (proto.Message, error) {
			m, err := decode[M](d, k, payload)
			if err != nil {
				return nil, &payloadError{err}
			}
			f(ctx, m)
			return nil, nil
		},
	})
}

func (d *Dispatcher) register(service uint32, h *handler) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return unavailable("register", d.local, errClosed)
	}
	return d.handlers.add(service, h)
}
