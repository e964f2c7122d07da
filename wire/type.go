package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Type is the number of a message type on the wire. Zero is no type.
type Type uint32

// TypeOf returns the number of the message type with the given protobuf full
// name: the first four bytes, read big-endian, of the name's SHA-256. It checks
// nothing; [Registry.Register] does.
func TypeOf(name protoreflect.FullName) Type {
	sum := sha256.Sum256([]byte(name))
	return Type(binary.BigEndian.Uint32(sum[:]))
}

// String returns t as eight hexadecimal digits.
func (t Type) String() string { return fmt.Sprintf("%08x", uint32(t)) }

// A TypeError reports a message name that cannot be registered. Renaming the
// message cures it.
type TypeError struct {
	Name  protoreflect.FullName // the name refused
	Type  Type                  // its number
	Taken protoreflect.FullName // the other name with that number; empty if there is none
}

// Error says in one line what is wrong with the name.
func (e *TypeError) Error() string {
	switch {
	case e.Taken != "":
		return fmt.Sprintf("wire: messages %s and %s have the same type number %v: rename one", e.Taken, e.Name, e.Type)
	case !e.Name.IsValid():
		return fmt.Sprintf("wire: %q is not the full name of a message", string(e.Name))
	}
	return fmt.Sprintf("wire: message %s has the reserved type number %v: rename it", e.Name, e.Type)
}

// A Registry holds message names and their numbers, no two names with the same
// one. Its zero value is empty and ready. All methods may be called concurrently.
type Registry struct {
	mu    sync.RWMutex
	names map[Type]protoreflect.FullName
}

// Register adds a message name and returns its number. Adding a name twice is
// harmless. The error is a [*TypeError]: the name is not a protobuf full name, or
// its number is another's or zero.
func (r *Registry) Register(name protoreflect.FullName) (Type, error) {
	return r.add(name, TypeOf(name))
}

func (r *Registry) add(name protoreflect.FullName, t Type) (Type, error) {
	if !name.IsValid() || t == 0 {
		return 0, &TypeError{Name: name, Type: t}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if taken, ok := r.names[t]; ok && taken != name {
		return 0, &TypeError{Name: name, Type: t, Taken: taken}
	}
	if r.names == nil {
		r.names = make(map[Type]protoreflect.FullName)
	}
	r.names[t] = name
	return t, nil
}

// Lookup returns the name that was registered with number t.
func (r *Registry) Lookup(t Type) (name protoreflect.FullName, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	name, ok = r.names[t]
	return name, ok
}

// LookupName returns the number of name, if it was registered.
func (r *Registry) LookupName(name protoreflect.FullName) (t Type, ok bool) {
	t = TypeOf(name)
	if found, ok := r.Lookup(t); !ok || found != name {
		return 0, false
	}
	return t, true
}
