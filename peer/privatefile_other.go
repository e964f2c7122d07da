//go:build !unix

package peer

import (
	"io/fs"
	"os"
)

// Access control here is not by Unix modes; what the system's own lists allow
// is not checked.
const hasUnixModes = false

// openNoFollow opens path for reading. That it is no symbolic link was checked
// just before; these systems offer no way to check it in the same step.
func openNoFollow(path string) (*os.File, error) { return os.Open(path) }

// ownerOf knows no owner.
func ownerOf(fs.FileInfo) (uid int, ok bool) { return 0, false }

// syncDir does nothing: directories cannot be opened for syncing.
func syncDir(string) error { return nil }
