package petname_test

import (
	"fmt"

	"parley/peer/petname"
)

// A stranger whose nickname looks like a friend's petname is flagged.
func ExampleConfusable() {
	nick := petname.Suggest("\u202eаlice\x1b") // a bidi override, a Cyrillic а, an escape
	fmt.Println(petname.Confusable(nick, "Alice"), petname.MixedScript(nick))
	// Output: true true
}

func ExampleCheck() {
	fmt.Println(petname.Check("ann-lee"))
	fmt.Println(petname.Check("ann lee"))
	// Output:
	// <nil>
	// invalid petname: character 4 (U+0020) is white space
}
