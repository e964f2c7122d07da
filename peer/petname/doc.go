// Package petname holds the rules for names of peers (requirement I3, threat T22).
//
// A petname is the user's own name for a key: local, unique, typed by people. A
// nickname is what a peer calls itself: a claim that proves nothing. [Check] says
// which names may be petnames, [Suggest] turns a nickname into one that may be
// shown, and [Confusable] says when two names look alike, so that a stranger who
// calls himself like a friend is flagged.
//
// The package is pure: no state, no clock, no input or output. Its character
// data are of the Unicode version of Go's unicode package, so that a character newer
// than that is refused rather than judged by guess.
package petname

//go:generate go run ./internal/gen -in internal/gen/confusables.txt.gz -out confusables_table.go
