package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"parley/peer"
)

// home is what a chat keeps between two runs.
type home struct {
	key  *peer.Key
	book *book
	made bool // the key is new

	locked *os.File // nil if everything is in memory
}

// passphraseVariable is where the key's passphrase may be.
const passphraseVariable = "PARLEY_PASSPHRASE" //nolint:gosec // the name of the variable

// openHome reads a home, and makes it first if need be. With dir empty everything
// is in memory. The user may be asked for the key's passphrase.
func openHome(dir string, stdin *os.File, stderr io.Writer) (*home, error) {
	h := &home{}
	var err error
	if dir == "" {
		h.made = true
		if h.key, err = peer.GenerateKey(); err != nil {
			return nil, err
		}
		h.book = &book{self: h.key.ID()}
		return h, nil
	}
	path := filepath.Join(dir, "key")
	h.key, h.made, err = peer.LoadOrCreateKey(path, []byte(os.Getenv(passphraseVariable)))
	if errors.Is(err, peer.ErrPassphraseNeeded) {
		h.key, err = askAndLoad(path, stdin, stderr)
	}
	if err != nil {
		return nil, advise(err, "choose another directory with -home")
	}
	if err := h.lock(dir); err != nil {
		return nil, err
	}
	if h.book, err = openBook(filepath.Join(dir, "petnames"), h.key.ID()); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// lock keeps other chats out of a home: two with one key would take each other's
// sessions over for ever, and write one petnames file.
func (h *home) lock(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot lock the home: %w; choose another directory with -home", err)
	}
	switch free, err := lock(f); {
	case err != nil:
		_ = f.Close()
		return fmt.Errorf("cannot lock %s: %w; choose another directory with -home", dir, err)
	case !free:
		_ = f.Close()
		return fmt.Errorf("%s is in use by another chat: use another -home", dir)
	}
	h.locked = f
	return nil
}

// close lets other chats in.
func (h *home) close() {
	if h.locked != nil {
		_ = h.locked.Close()
	}
}

func askAndLoad(path string, stdin *os.File, stderr io.Writer) (*peer.Key, error) {
	fd := int(stdin.Fd())
	if !term.IsTerminal(fd) {
		return nil, fmt.Errorf("%s is encrypted, and there is no terminal to ask for the passphrase: set %s", path, passphraseVariable)
	}
	fmt.Fprintf(stderr, "passphrase of %s: ", path)
	passphrase, err := term.ReadPassword(fd)
	fmt.Fprintln(stderr)
	if err != nil {
		return nil, fmt.Errorf("cannot read the passphrase: %w", err)
	}
	defer clear(passphrase)
	return peer.LoadKey(path, passphrase)
}

// befriend puts the friends of the command line into the book.
func (h *home) befriend(friends []friend) error {
	for _, f := range friends {
		err := h.book.add(f.name, f.id, f.address, true)
		if errors.Is(err, errOwnID) {
			err = fmt.Errorf("%w; for a second chat on this machine add -home DIR", err)
		}
		if err != nil {
			return fmt.Errorf("-peer %s: %w", f.name, err)
		}
	}
	return nil
}

// advise adds what to do to an error about a file that does not say so itself.
func advise(err error, what string) error {
	if e, ok := errors.AsType[*peer.FileError](err); ok && e.Remedy == "" {
		if errors.Is(err, peer.ErrPassphraseWrong) {
			what = "try again"
		}
		return fmt.Errorf("%w; %s", err, what)
	}
	return err
}
