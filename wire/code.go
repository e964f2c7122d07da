package wire

import "strconv"

// Code says how an exchange ended. The set is gRPC's and closed: the same
// numbers, names and meanings (grpc/doc/statuscodes.md).
type Code uint32

// The codes.
const (
	OK                 Code = 0  // it succeeded
	Canceled           Code = 1  // whoever asked gave up
	Unknown            Code = 2  // an error without a code, or with one outside this set
	InvalidArgument    Code = 3  // the request is wrong whatever the state of the system
	DeadlineExceeded   Code = 4  // the time ran out; it may have succeeded all the same
	NotFound           Code = 5  // what was named does not exist
	AlreadyExists      Code = 6  // what was to be created exists
	PermissionDenied   Code = 7  // who asks is known and may not
	ResourceExhausted  Code = 8  // a quota, buffer or limit is used up
	FailedPrecondition Code = 9  // the state has to be changed before a retry can help
	Aborted            Code = 10 // a conflict; retry from further back
	OutOfRange         Code = 11 // beyond the valid range, which may grow
	Unimplemented      Code = 12 // nobody here handles that
	Internal           Code = 13 // an invariant is broken
	Unavailable        Code = 14 // not at present; retry with back-off
	DataLoss           Code = 15 // data is lost or damaged for good
	Unauthenticated    Code = 16 // who asks is not known
)

var codes = [...]string{
	"OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
	"PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange",
	"Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated",
}

// CodeFromWire returns the code that a received number stands for: [Unknown] if
// it is outside the set.
func CodeFromWire(n uint32) Code {
	if c := Code(n); c.Valid() {
		return c
	}
	return Unknown
}

// Valid reports whether c belongs to the set.
func (c Code) Valid() bool { return uint64(c) < uint64(len(codes)) }

// String returns the name of c as gRPC for Go spells it, such as
// "DeadlineExceeded".
func (c Code) String() string {
	if c.Valid() {
		return codes[c]
	}
	return "Code(" + strconv.FormatUint(uint64(c), 10) + ")"
}
