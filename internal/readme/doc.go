// Package readme keeps the README true. It has only tests: the Go code that the
// README shows is the code of an example that runs here, its commands are those
// that continuous integration runs, and no document links to a missing file.
package readme
