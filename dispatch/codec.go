package dispatch

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"parley/peer"
	"parley/schema/parleyv1"
	"parley/wire"
)

// statusType is the type number of parley.v1.Status.
var statusType = wire.TypeOf((*parleyv1.Status)(nil).ProtoReflect().Descriptor().FullName())

var errUnknownField = errors.New("dispatch: the payload has a field that is not known here")

// kind describes one generated message type.
type kind struct {
	number wire.Type
	proto  protoreflect.MessageType
	name   protoreflect.FullName
	nested bool // it may contain other messages
}

// protoType returns the message type of M, which must be a generated one.
func protoType[M proto.Message]() (protoreflect.MessageType, error) {
	var zero M
	if any(zero) == nil {
		return nil, errors.New("dispatch: the message type must be a concrete one, such as *pb.Ping")
	}
	return zero.ProtoReflect().Type(), nil
}

// kindOf returns what is known of M, registering its number at first use. The
// error says that M is not concrete or that another message has its number.
func kindOf[M proto.Message](d *Dispatcher) (*kind, error) {
	t, err := protoType[M]()
	if err != nil {
		return nil, err
	}
	return d.kinds.of(t)
}

// kinds remembers message types, because their numbers are costly to compute.
type kinds struct {
	mu       sync.RWMutex
	byName   map[protoreflect.FullName]*kind
	registry wire.Registry
}

func (k *kinds) of(t protoreflect.MessageType) (*kind, error) {
	name := t.Descriptor().FullName()
	k.mu.RLock()
	known := k.byName[name]
	k.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	number, err := k.registry.Register(name)
	if err != nil {
		return nil, fmt.Errorf("dispatch: %w", err)
	}
	fresh := &kind{number: number, proto: t, name: name}
	fields := t.Descriptor().Fields()
	for i := range fields.Len() {
		fresh.nested = fresh.nested || fields.Get(i).Message() != nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byName == nil {
		k.byName = make(map[protoreflect.FullName]*kind)
	}
	k.byName[name] = fresh
	return fresh, nil
}

// decode makes a message of the kind from a payload.
func decode[M proto.Message](d *Dispatcher, k *kind, payload []byte) (M, error) {
	m := k.proto.New()
	message := m.Interface().(M)
	if err := proto.Unmarshal(payload, message); err != nil {
		return message, err
	}
	if d.config.RefuseUnknownFields && hasUnknown(m, k.nested) {
		return message, errUnknownField
	}
	return message, nil
}

// hasUnknown reports whether m or a message in it has fields that its type does not.
func hasUnknown(m protoreflect.Message, nested bool) bool {
	if len(m.GetUnknown()) > 0 {
		return true
	}
	if !nested {
		return false
	}
	found := false
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					found = hasUnknown(v.Message(), true)
					return !found
				})
			}
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				found = found || hasUnknown(v.List().Get(i).Message(), true)
			}
		default:
			found = hasUnknown(v.Message(), true)
		}
		return !found
	})
	return found
}

// buffers holds encode buffers. Those that one large message has grown are left
// to the collector.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

const maxPooledBuffer = 64 << 10

// encode makes a block of h and m in a buffer that release takes back. It sets
// the send time (B12).
func encode(h *wire.Header, m proto.Message, size int) (*[]byte, error) {
	h.SendTime = time.Now().UnixMicro()
	buf := buffers.Get().(*[]byte)
	b, err := h.Append((*buf)[:0], size)
	if err == nil && m != nil {
		b, err = proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
	}
	*buf = b
	if err != nil {
		release(buf)
		return nil, err
	}
	return buf, nil
}

func release(buf *[]byte) {
	if cap(*buf) <= maxPooledBuffer {
		buffers.Put(buf)
	}
}

// isMessage reports whether m is there: no nil, and no pointer that is nil.
func isMessage(m proto.Message) bool { return m != nil && m.ProtoReflect().IsValid() }

// status makes the payload of a status block.
func status(code wire.Code, text string) *parleyv1.Status {
	return &parleyv1.Status{Code: uint32(code), Message: text}
}

// parseStatus returns what the peer said, nil for OK.
func parseStatus(from peer.ID, payload []byte) error {
	var s parleyv1.Status
	if err := proto.Unmarshal(payload, &s); err != nil {
		return &PeerError{Code: wire.Unknown, Message: "(a status that cannot be read)", Peer: from}
	}
	code := wire.CodeFromWire(s.GetCode())
	if code == wire.OK {
		return nil
	}
	return &PeerError{Code: code, Message: cutText(s.GetMessage()), Peer: from}
}
