package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"parley/peer"
	"parley/peer/petname"
)

// book is the user's own names for keys (I3), and where they were last told to be
// found. It is a text file of lines
//
//	PETNAME ID [ADDRESS]
//
// among which comments, beginning with #, and blank lines may stand. Names are
// unique and unlike each other; a key has one. A book is not safe for concurrent
// use. What it returns must not be changed.
type book struct {
	path  string // empty for a book in memory
	self  peer.ID
	lines []bookLine
}

// bookLine is an entry, or another line kept as it is.
type bookLine struct {
	entry *entry
	text  string
}

type entry struct {
	name     string
	id       peer.ID
	address  string // may be empty
	unstored bool   // for this run only
}

var errOwnID = errors.New("that id is your own")

// openBook reads the book at path. A missing file is an empty book.
func openBook(path string, self peer.ID) (*book, error) {
	b := &book{path: path, self: self}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return b, nil
	case err == nil && info.Size() > maxBook:
		return nil, fmt.Errorf("%s has %d bytes, and a petnames file has at most %d: shorten it", path, info.Size(), maxBook)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the petnames: %w", err)
	}
	for i, text := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		if err := b.read(strings.TrimSuffix(text, "\r")); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w; correct the line, or remove it", path, i+1, err)
		}
	}
	return b, nil
}

func (b *book) read(text string) error {
	fields := strings.Fields(text)
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		b.lines = append(b.lines, bookLine{text: text})
		return nil
	}
	if len(fields) < 2 || len(fields) > 3 {
		return errors.New("not of the form PETNAME ID [ADDRESS]")
	}
	e := &entry{name: fields[0]}
	var err error
	if e.id, err = peer.ParseID(fields[1]); err != nil {
		return err
	}
	if len(fields) == 3 {
		e.address = fields[2]
		if err := checkAddress(e.address, 1); err != nil {
			return err
		}
	}
	if err := b.mayAdd(e.name, e.id); err != nil {
		return err
	}
	b.lines = append(b.lines, bookLine{entry: e})
	return nil
}

// entries returns all entries, in the order of the file.
func (b *book) entries() []*entry {
	out := make([]*entry, 0, len(b.lines))
	for _, l := range b.lines {
		if l.entry != nil {
			out = append(out, l.entry)
		}
	}
	return out
}

func (b *book) find(is func(*entry) bool) *entry {
	i := slices.IndexFunc(b.lines, func(l bookLine) bool { return l.entry != nil && is(l.entry) })
	if i < 0 {
		return nil
	}
	return b.lines[i].entry
}

// of returns the entry of a key, or nil.
func (b *book) of(id peer.ID) *entry { return b.find(func(e *entry) bool { return e.id == id }) }

// named returns the entry with a name, or nil.
func (b *book) named(name string) *entry {
	return b.find(func(e *entry) bool { return e.name == name })
}

// like returns the petname that name could be taken for, or "".
func (b *book) like(name string) string {
	if e := b.find(func(e *entry) bool { return petname.Confusable(e.name, name) }); e != nil {
		return e.name
	}
	return ""
}

// mayAdd says why a name cannot be given to a key that has none.
func (b *book) mayAdd(name string, id peer.ID) error {
	if err := petname.Check(name); err != nil {
		return err
	}
	if strings.HasPrefix(name, "#") {
		return fmt.Errorf("petname %s begins with #, as comments do", name)
	}
	if id == b.self {
		return errOwnID
	}
	if e := b.named(name); e != nil {
		return fmt.Errorf("petname %s already names %s; choose another", name, e.id)
	}
	if like := b.like(name); like != "" {
		return fmt.Errorf("petname %s looks like %s, which names another key; choose another", name, like)
	}
	if e := b.of(id); e != nil {
		return fmt.Errorf("%s already has the petname %s; use that, or change it with /name", id, e.name)
	}
	return nil
}

// add makes sure that a key has a name and an address. The address may change, the
// rest not. An entry that is not stored is for this run only.
func (b *book) add(name string, id peer.ID, address string, store bool) error {
	if e := b.named(name); e != nil && e.id == id {
		if e.address == address {
			return nil
		}
		e.address = address
	} else {
		if err := b.mayAdd(name, id); err != nil {
			return err
		}
		b.lines = append(b.lines, bookLine{entry: &entry{name, id, address, !store}})
	}
	if !store {
		return nil
	}
	return b.save()
}

// rename gives a key a name, instead of the one it may have, which is returned. A
// book that cannot be saved is unchanged.
func (b *book) rename(name string, id peer.ID) (old string, err error) {
	before := slices.Clone(b.lines)
	e := &entry{id: id}
	i := slices.IndexFunc(b.lines, func(l bookLine) bool { return l.entry != nil && l.entry.id == id })
	if i >= 0 {
		*e = *b.lines[i].entry
		b.lines[i] = bookLine{} // a name may look like the one it replaces
	} else {
		i = len(b.lines)
		b.lines = append(b.lines, bookLine{})
	}
	old, e.name = e.name, name
	if err = b.mayAdd(name, id); err == nil {
		b.lines[i].entry = e
		err = b.save()
	}
	if err != nil {
		b.lines = before
		return "", err
	}
	return old, nil
}

// save writes the file anew, all or nothing.
func (b *book) save() error {
	if b.path == "" {
		return nil
	}
	var text strings.Builder
	for _, l := range b.lines {
		switch {
		case l.entry == nil:
			text.WriteString(l.text)
		case l.entry.unstored:
			continue
		default:
			text.WriteString(strings.TrimSpace(l.entry.name + " " + l.entry.id.String() + " " + l.entry.address))
		}
		text.WriteByte('\n')
	}
	if err := replaceFile(b.path, text.String()); err != nil {
		return fmt.Errorf("cannot store the petnames: %w", err)
	}
	return nil
}

// replaceFile has a file contain a text, whatever happens meanwhile: either the old
// content is in it or the new one.
func replaceFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// checkAddress says why a text is not HOST:PORT, the port being at least min.
func checkAddress(address string, minPort uint64) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.ContainsAny(host, " \t") {
		return fmt.Errorf("%q is not HOST:PORT", address)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n < minPort {
		return fmt.Errorf("%q is not a port between %d and 65535", port, minPort)
	}
	if minPort > 0 && host == "" {
		return fmt.Errorf("%q has no host", address)
	}
	return nil
}
