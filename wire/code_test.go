package wire

import "testing"

// The numbers and spellings of gRPC's set, which programs and other systems
// depend on.
func TestCodes(t *testing.T) { // DI10
	for i, want := range []string{
		"OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
		"PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange",
		"Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated",
	} {
		c := CodeFromWire(uint32(i))
		if !c.Valid() || uint32(c) != uint32(i) || c.String() != want {
			t.Errorf("code %d is %d, %q, valid %v; want %q", i, uint32(c), c, c.Valid(), want)
		}
	}
	for _, n := range []uint32{17, 1 << 31, 1<<32 - 1} {
		if c := CodeFromWire(n); c != Unknown || Code(n).Valid() {
			t.Errorf("code %d is taken for %v, valid %v", n, c, Code(n).Valid())
		}
	}
	if got := Code(17).String(); got != "Code(17)" {
		t.Errorf("code 17 prints as %q", got)
	}
}
