package peer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// LoadKey reads a key from an OpenSSH private-key file, as made by
// [LoadOrCreateKey] or by ssh-keygen -t ed25519 (requirement I2).
//
// The file must be a regular file (no symbolic link), at most [MaxKeyFile] bytes, owned by the effective
// user (root may read anybody's), closed to group and others, and not in a directory
// that anybody may write to; on systems without Unix modes only the first two
// are checked. An encrypted key needs its passphrase, and a passphrase needs an
// encrypted key: a program told to use a passphrase learns if the file on disk is not protected.
//
// Decrypting takes about a tenth of a second per 16 rounds of bcrypt; files that
// ask for more than 2,048 are refused. The passphrase is not kept. The error is
// a *[FileError]; a missing file is [fs.ErrNotExist] to errors.Is.
func LoadKey(path string, passphrase []byte) (*Key, error) {
	file := keyFile(path)
	content, err := file.read()
	if err != nil {
		return nil, err
	}
	key, err := parseKey(content, passphrase)
	if err != nil {
		return nil, file.explain(err)
	}
	return key, nil
}

// LoadOrCreateKey is [LoadKey], and makes a key first where no file exists,
// encrypted if passphrase is not empty. created tells which happened; tell the
// user, since a new key is a new identity.
//
// Only a file that is not there leads to a new key: one that is damaged,
// unreadable or open to others is an error. Missing directories are made with
// mode 0700. The file appears whole or not at all, with mode 0600, and is on
// disk when the call returns; an existing file is never replaced. Processes that
// race to create it end with the same key. A crash may leave a file named
// .<base>.*.tmp with a key that nobody has used; it may be removed.
//
// The error is a *[FileError].
func LoadOrCreateKey(path string, passphrase []byte) (k *Key, created bool, err error) {
	k, err = LoadKey(path, passphrase)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return k, false, err
	}
	file := keyFile(path)
	if k, err = GenerateKey(); err != nil {
		return nil, false, file.fail(ErrFileAccess, err, "")
	}
	content, err := marshalKey(k, passphrase)
	if err != nil {
		return nil, false, file.fail(ErrFileAccess, err, "")
	}
	err = file.create(content)
	switch {
	case err == nil:
		return k, true, nil
	case errors.Is(err, fs.ErrExist): // another process was faster
		k, err = LoadKey(path, passphrase)
		return k, false, err
	default:
		return nil, false, err
	}
}

func keyFile(path string) privateFile {
	return privateFile{what: "key file", path: path, limit: MaxKeyFile}
}

// explain turns a *keyProblem into a *FileError with its remedy.
func (f privateFile) explain(err error) *FileError {
	var p *keyProblem
	if !errors.As(err, &p) {
		return f.fail(ErrKeyMalformed, err, "")
	}
	path, remedy := shellQuote(f.path), ""
	switch {
	case errors.Is(p.problem, ErrKeyMalformed):
		remedy = "restore it from a backup; without one, move it away, and a new identity will be made"
	case errors.Is(p.problem, ErrKeyAlgorithm):
		remedy = "make one with: ssh-keygen -t ed25519 -f " + path + ".new"
	case errors.Is(p.problem, ErrPassphraseNeeded):
		remedy = "give its passphrase, or remove it with: ssh-keygen -p -f " + path
	case errors.Is(p.problem, ErrKeyNotEncrypted):
		remedy = "encrypt it with: ssh-keygen -p -f " + path
	}
	return f.fail(p.problem, p.cause, remedy)
}

// create writes content to a new file, atomically and durably. If the path
// exists, as anything at all, the error is fs.ErrExist.
func (f privateFile) create(content []byte) error {
	dir := filepath.Dir(f.path)
	if err := makePrivateDir(dir); err != nil {
		return f.accessError(err)
	}
	if err := f.checkDir(); err != nil {
		return err
	}
	// CreateTemp opens with O_EXCL and mode 0600.
	temp, err := os.CreateTemp(dir, "."+filepath.Base(f.path)+".*.tmp")
	if err != nil {
		return f.accessError(err)
	}
	defer os.Remove(temp.Name())
	if err := writeAndClose(temp, content); err != nil {
		return f.accessError(err)
	}
	// A link, unlike a rename, never replaces what is there.
	err = os.Link(temp.Name(), f.path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		// Some file systems know no hard links, and Android forbids them.
		err = writeExclusive(f.path, content)
	}
	if err != nil {
		return f.accessError(err)
	}
	if err := syncDir(dir); err != nil {
		return f.accessError(err)
	}
	return nil
}

// writeExclusive is the second best way to create path: nothing is ever
// replaced, but a crash, or a process that looks at the wrong moment, finds an
// incomplete file. That is an error to both, never another key.
func writeExclusive(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := writeAndClose(file, content); err != nil {
		_ = os.Remove(path)
		return err
	}
	return nil
}

func writeAndClose(file *os.File, content []byte) error {
	_, err := file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// makePrivateDir makes dir and its missing parents with mode 0700 and makes
// their names durable.
func makePrivateDir(dir string) error {
	var parents []string // of the directories that are missing
	for d := dir; ; d = filepath.Dir(d) {
		_, err := os.Stat(d)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if filepath.Dir(d) == d {
			return err
		}
		parents = append(parents, filepath.Dir(d))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, p := range parents {
		if err := syncDir(p); err != nil {
			return err
		}
	}
	return nil
}
