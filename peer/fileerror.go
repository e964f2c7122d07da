package peer

import (
	"errors"
	"strings"
)

// What can be wrong with a key or secret file; each is the Problem of a
// [FileError] and is found by [errors.Is].
var (
	// ErrFileAccess: the file or its directory could not be opened, read or
	// written. The operating system's error is wrapped too, so that
	// errors.Is(err, fs.ErrNotExist) works.
	ErrFileAccess = errors.New("cannot be accessed")
	// ErrFileMode: others than the owner may read or change the file, or anybody
	// may replace it because its directory is open to all.
	ErrFileMode = errors.New("is open to others")
	// ErrFileOwner: the file belongs to another user.
	ErrFileOwner = errors.New("belongs to another user")
	// ErrFileKind: a directory, symbolic link, pipe or device is in the place.
	ErrFileKind = errors.New("is not a regular file")
	// ErrFileEmpty: the file has no content, as after a crash of whatever wrote it.
	ErrFileEmpty = errors.New("is empty")
	// ErrFileTooLarge: the file is larger than [MaxKeyFile] or [MaxSecretFile].
	ErrFileTooLarge = errors.New("is too large")
	// ErrKeyMalformed: the file is no OpenSSH private key, or a damaged one.
	ErrKeyMalformed = errors.New("is not a whole OpenSSH private key")
	// ErrKeyAlgorithm: the file holds a private key of another kind than Ed25519.
	ErrKeyAlgorithm = errors.New("does not hold an Ed25519 key")
	// ErrPassphraseNeeded: the key is encrypted and no passphrase was given.
	ErrPassphraseNeeded = errors.New("is encrypted and no passphrase was given")
	// ErrPassphraseWrong: the passphrase does not decrypt the key.
	ErrPassphraseWrong = errors.New("does not open with that passphrase")
	// ErrKeyNotEncrypted: a passphrase was given for a key that has none.
	ErrKeyNotEncrypted = errors.New("is not encrypted, though a passphrase was given")
	// ErrShortSecret: fewer than [MinSecretLen] bytes.
	ErrShortSecret = errors.New("is too short to be a secret")
)

// A FileError says what is wrong with a key or secret file and what to do about
// it. Its text is one line and holds nothing of the file's content.
type FileError struct {
	// Path is the file, as the caller named it.
	Path string
	// Problem is one of the errors above.
	Problem error
	// Remedy is what the user should do, often a shell command; it may be empty.
	Remedy string
	// Cause is the underlying error or a detail such as the mode; it may be nil.
	Cause error

	what string // "key file" or "network-secret file"
}

// Error returns one line: file, problem, detail, remedy.
func (e *FileError) Error() string {
	var b strings.Builder
	if e.what != "" {
		b.WriteString(e.what)
		b.WriteByte(' ')
	}
	b.WriteString(shellQuote(e.Path))
	b.WriteByte(' ')
	b.WriteString(e.Problem.Error())
	if e.Cause != nil {
		b.WriteString(" (")
		b.WriteString(e.Cause.Error())
		b.WriteByte(')')
	}
	if e.Remedy != "" {
		b.WriteString("; ")
		b.WriteString(e.Remedy)
	}
	return b.String()
}

// Unwrap returns Problem and Cause.
func (e *FileError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Problem}
	}
	return []error{e.Problem, e.Cause}
}

// shellQuote returns s so that a POSIX shell reads it back as one word: as it is
// when plain, in single quotes when not. Control characters, which could make a
// line of an error look like another, come out escaped and then no longer name
// the same file; a path with those is not worth a command.
func shellQuote(s string) string {
	plain := s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+:,@%", r))
	}) < 0
	if plain && s[0] != '-' {
		return s
	}
	s = printable(s)
	if s != "" && s[0] == '-' {
		s = "./" + s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
