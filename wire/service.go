package wire

import (
	"google.golang.org/protobuf/proto"

	"parley/schema/parleyv1"
)

// Service is one entry of a host's list of services. Its fields are described in
// schema/parley/v1/service.proto.
type Service = parleyv1.Service

// Limits on the list of services.
const (
	// MaxServiceDescription is the length in bytes of the longest description.
	MaxServiceDescription = 256
	// MaxService is the length in bytes of the longest entry that is accepted: the
	// fields at their longest, and as much again for those of later versions.
	MaxService = 2 * (2*(3+MaxServiceName) + 3 + MaxServiceDescription)
	// MaxServices is how many entries a list has at most.
	MaxServices = 1_024
)

// AppendService checks m as [ParseService] does and appends it to b, without its
// length. The error is a [*ValueError], and then b is returned as it was.
func AppendService(b []byte, m *Service) ([]byte, error) {
	if field, reason := checkService(m); reason != 0 {
		return b, &ValueError{Field: field, Reason: reason}
	}
	out, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, m)
	if err != nil { // a text that is not UTF-8; checkService refuses those
		return b, &ValueError{Reason: BadMessage}
	}
	return out, nil
}

// ParseService parses one entry: both names of 1 to [MaxServiceName] bytes, the
// description of at most [MaxServiceDescription], all of them UTF-8. Fields that
// this version does not know are dropped. The error is a [*SyntaxError].
func ParseService(b []byte) (*Service, error) {
	if len(b) > MaxService {
		return nil, &SyntaxError{Offset: -1, Reason: TooLong}
	}
	m := new(Service)
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		return nil, &SyntaxError{Offset: -1, Reason: BadMessage}
	}
	if field, reason := checkService(m); reason != 0 {
		return nil, &SyntaxError{Offset: -1, Field: field, Reason: reason}
	}
	return m, nil
}

func checkService(m *Service) (field string, reason Reason) {
	for _, f := range []struct {
		name, text string
		limit      int
	}{
		{"name", m.GetName(), MaxServiceName},
		{"protocol", m.GetProtocol(), MaxServiceName},
		{"description", m.GetDescription(), MaxServiceDescription},
	} {
		if reason := checkText(f.text, f.limit); reason != 0 {
			return f.name, reason
		}
		if f.text == "" && f.name != "description" {
			return f.name, MissingField
		}
	}
	return "", 0
}
