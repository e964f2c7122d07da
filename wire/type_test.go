package wire

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// The number is part of the protocol: these are fixed for all time.
func TestTypeOf(t *testing.T) { // EN3
	for name, want := range map[protoreflect.FullName]string{
		"":                    "e3b0c442", // SHA-256 of nothing, as FIPS 180-4 examples give it
		"abc":                 "ba7816bf", // likewise
		"parley.v1.Status":    statusType,
		"a.M69291":            "ac315d76",
		"a.M565283735":        "00000000",
		"google.protobuf.Any": anyType,
	} {
		if got := TypeOf(name).String(); got != want {
			t.Errorf("TypeOf(%q) = %s, want %s", name, got, want)
		}
	}
}

// From sha256sum.
const (
	statusType = "0dee69d5"
	anyType    = "e20315e5"
)

// Two names whose SHA-256 begin with the same four bytes, and one that begins
// with four zeros; found by search.
const (
	collidingName  = "a.M69291"
	collidingName2 = "a.M87351"
	zeroName       = "a.M565283735"
)

func TestRegistryRefusesCollision(t *testing.T) { // EN3
	var r Registry
	first, err := r.Register(collidingName)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Register(collidingName2)
	var refused *TypeError
	if !errors.As(err, &refused) || *refused != (TypeError{Name: collidingName2, Type: first, Taken: collidingName}) {
		t.Fatalf("second name: %v", err)
	}
	if want := "wire: messages a.M69291 and a.M87351 have the same type number ac315d76: rename one"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if name, ok := r.Lookup(first); !ok || name != collidingName {
		t.Errorf("after the collision %v is %q, %v", first, name, ok)
	}
	if _, ok := r.LookupName(collidingName2); ok {
		t.Error("the refused name is found")
	}
}

func TestRegistryRefusesZeroAndBadNames(t *testing.T) {
	var r Registry
	for _, name := range []protoreflect.FullName{zeroName, "", "a..b", ".a", "a b", "1a"} {
		var refused *TypeError
		if n, err := r.Register(name); !errors.As(err, &refused) || refused.Taken != "" || n != 0 {
			t.Errorf("%q: %v, %v", name, n, err)
		}
	}
	if _, ok := r.Lookup(0); ok {
		t.Error("type 0 is found")
	}
}

func TestRegistryConcurrent(t *testing.T) {
	var r Registry
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 100 { // the same names from each: a second time is harmless
				name := protoreflect.FullName(fmt.Sprintf("test.M%d", i))
				n, err := r.Register(name)
				if err != nil || n != TypeOf(name) {
					t.Errorf("%s: %v, %v", name, n, err)
				}
				if found, ok := r.Lookup(n); !ok || found != name {
					t.Errorf("%v is %q, %v", n, found, ok)
				}
				if found, ok := r.LookupName(name); !ok || found != n {
					t.Errorf("%s is %v, %v", name, found, ok)
				}
			}
		})
	}
	wg.Wait()
}
