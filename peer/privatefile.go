package peer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// A privateFile is a file that only its owner may access.
type privateFile struct {
	what  string // for messages: "key file"
	path  string
	limit int64 // bytes
}

func (f privateFile) fail(problem, cause error, remedy string) *FileError {
	return &FileError{Path: f.path, Problem: problem, Cause: cause, Remedy: remedy, what: f.what}
}

// accessError wraps an error of the operating system. The path, which
// FileError.Error prints already, is taken out of the text.
func (f privateFile) accessError(err error) *FileError {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) && pathErr.Path == f.path {
		err = pathErr.Err
	}
	return f.fail(ErrFileAccess, err, "")
}

// read returns the content of the file after checking who else could have read
// or written it. Checks are made on the open file, so that it cannot be swapped in between.
// A symbolic link as the last element is refused: where it leads may be
// changed by whoever owns the link, and its own mode says nothing.
func (f privateFile) read() ([]byte, error) {
	info, err := os.Lstat(f.path)
	if err != nil {
		return nil, f.accessError(err)
	}
	if err := f.checkKind(info); err != nil {
		return nil, err
	}
	file, err := openNoFollow(f.path)
	if err != nil {
		return nil, f.accessError(err)
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, f.accessError(err)
	}
	if err := f.checkKind(info); err != nil {
		return nil, err
	}
	if err := f.checkAccess(info); err != nil {
		return nil, err
	}
	if err := f.checkDir(); err != nil {
		return nil, err
	}
	// Read to one byte past the limit instead of trusting the size.
	b, err := io.ReadAll(io.LimitReader(file, f.limit+1))
	if err != nil {
		return nil, f.accessError(err)
	}
	if int64(len(b)) > f.limit {
		return nil, f.fail(ErrFileTooLarge, fmt.Errorf("more than %d bytes", f.limit), "is this the right file?")
	}
	if len(b) == 0 {
		return nil, f.fail(ErrFileEmpty, nil, "restore it from a backup, or remove it to start anew")
	}
	return b, nil
}

func (f privateFile) checkKind(info fs.FileInfo) error {
	mode := info.Mode()
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return f.fail(ErrFileKind, errors.New("it is a directory"), "")
	case mode&fs.ModeSymlink != 0:
		return f.fail(ErrFileKind, errors.New("it is a symbolic link"), "name the file it points to")
	default:
		return f.fail(ErrFileKind, fmt.Errorf("its mode is %v", mode), "")
	}
}

// checkAccess refuses a file that its mode opens to others or that another user
// owns. Systems without Unix modes have nothing to check.
func (f privateFile) checkAccess(info fs.FileInfo) error {
	if !hasUnixModes {
		return nil
	}
	if uid, ok := ownerOf(info); ok && !trustedOwner(uid, os.Geteuid()) {
		return f.fail(ErrFileOwner, fmt.Errorf("user %d, not %d", uid, os.Geteuid()), "run as its owner, or name a file of your own")
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return f.fail(ErrFileMode, fmt.Errorf("mode %04o", perm), "type: chmod 600 "+shellQuote(f.path))
	}
	return nil
}

// checkDir refuses a directory in which anybody may replace the file. Write
// permission of the group is accepted, since many systems give each user a group
// of their own and make directories group-writable.
func (f privateFile) checkDir() error {
	if !hasUnixModes {
		return nil
	}
	dir := filepath.Dir(f.path)
	info, err := os.Stat(dir)
	if err != nil {
		return f.accessError(err)
	}
	if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return f.fail(ErrFileMode, fmt.Errorf("anybody may write to its directory, mode %04o", info.Mode().Perm()), "type: chmod o-w "+shellQuote(dir))
	}
	return nil
}

// trustedOwner reports whether a process of user euid may rely on a file of user
// uid. Root may use anybody's, as it must where a home is mounted into a container.
func trustedOwner(uid, euid int) bool { return euid == 0 || uid == euid }

// printable escapes what does not print, line breaks and terminal escapes above
// all, as Go does in a quoted string.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRuneToASCII(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}
