//go:build unix

package peer

import (
	"io/fs"
	"os"
	"syscall"
)

const hasUnixModes = true

// openNoFollow opens path for reading unless it is a symbolic link. Should it
// have become a pipe since it was looked at, opening does not wait for a writer.
func openNoFollow(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// ownerOf returns the user that owns a file.
func ownerOf(info fs.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// syncDir makes a change of dir's entries survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
