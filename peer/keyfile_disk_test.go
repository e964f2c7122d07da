package peer

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// writeFile makes a private file and returns its path.
func writeFile(t testing.TB, content []byte, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantFileError checks that err is a FileError about path with that problem, on one line.
func wantFileError(t *testing.T, err error, path string, problem error, text string) {
	t.Helper()
	var fe *FileError
	if !errors.As(err, &fe) || !errors.Is(err, problem) || fe.Path != path {
		t.Fatalf("error %v, want a FileError about %s: %v", err, path, problem)
	}
	if !strings.Contains(err.Error(), text) || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("error %q, want one line with %q", err, text)
	}
}

func needUnixModes(t *testing.T) {
	t.Helper()
	if !hasUnixModes {
		t.Skip("this system has no Unix file modes")
	}
}

// entries returns the names in dir.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// I2: a key is made on first use, in private directories, and found from then on.
func TestLoadOrCreateKey(t *testing.T) {
	for _, passphrase := range []string{"", testPassphrase} {
		base := t.TempDir()
		path := filepath.Join(base, "a", "b", "id")
		k, created, err := LoadOrCreateKey(path, []byte(passphrase))
		if err != nil || !created {
			t.Fatalf("first use: created %v, %v", created, err)
		}
		again, created, err := LoadOrCreateKey(path, []byte(passphrase))
		if err != nil || created || again.ID() != k.ID() {
			t.Fatalf("second use: created %v, id %v, want %v, %v", created, again.ID(), k.ID(), err)
		}
		if names := entries(t, filepath.Dir(path)); len(names) != 1 {
			t.Errorf("left behind: %v", names)
		}
		if hasUnixModes {
			for p, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700 | fs.ModeDir, filepath.Join(base, "a"): 0o700 | fs.ModeDir} {
				if info, err := os.Stat(p); err != nil || info.Mode() != want {
					t.Errorf("%s has mode %v, want %v (%v)", p, info.Mode(), want, err)
				}
			}
		}
	}
}

func TestLoadKeyMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "id")
	_, err := LoadKey(path, nil)
	wantFileError(t, err, path, ErrFileAccess, "key file "+path+" cannot be accessed")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

// T28: whatever is in the place of the key, it is never replaced by a new identity.
func TestLoadOrCreateKeyNeverReplaces(t *testing.T) {
	needUnixModes(t)
	good := testFile(t, "ed25519")
	file := func(content []byte, mode fs.FileMode) func(*testing.T) string {
		return func(t *testing.T) string { return writeFile(t, content, mode) }
	}
	in := func(put func(path string) error) func(*testing.T) string {
		return func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "id")
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	tests := []struct {
		name    string
		make    func(*testing.T) string
		problem error
		text    string
	}{
		{"group may read", file(good, 0o640), ErrFileMode, "(mode 0640); type: chmod 600 /"},
		{"others may read", file(good, 0o604), ErrFileMode, "chmod 600"},
		{"group may write", file(good, 0o620), ErrFileMode, "chmod 600"},
		{"anybody may do all", file(good, 0o777), ErrFileMode, "chmod 600"},
		{"empty", file(nil, 0o600), ErrFileEmpty, "backup"},
		{"cut short", file(good[:len(good)/2], 0o600), ErrKeyMalformed, "backup"},
		{"garbage", file([]byte("\x00\x01\x1b[2J"), 0o600), ErrKeyMalformed, "does not begin"},
		{"too large", file(make([]byte, MaxKeyFile+1), 0o600), ErrFileTooLarge, "16384 bytes"},
		{"not Ed25519", file(testFile(t, "rsa"), 0o600), ErrKeyAlgorithm, "ssh-keygen -t ed25519"},
		{"encrypted", file(testFile(t, "ed25519_encrypted"), 0o600), ErrPassphraseNeeded, "passphrase"},
		{"directory", in(func(p string) error { return os.Mkdir(p, 0o700) }), ErrFileKind, "directory"},
		{"link to a good key", in(func(p string) error {
			if err := os.WriteFile(p+".real", good, 0o600); err != nil {
				return err
			}
			return os.Symlink(p+".real", p)
		}), ErrFileKind, "symbolic link"},
		{"dangling link", in(func(p string) error { return os.Symlink("nowhere", p) }), ErrFileKind, "symbolic link"},
		{"in a directory open to all", in(func(p string) error {
			if err := os.WriteFile(p, good, 0o600); err != nil {
				return err
			}
			return os.Chmod(filepath.Dir(p), 0o777)
		}), ErrFileMode, "chmod o-w"},
		{"absent, in a directory open to all", in(func(p string) error { return os.Chmod(filepath.Dir(p), 0o777) }), ErrFileMode, "chmod o-w"},
		{"a file where a directory should be", in(func(p string) error { return os.WriteFile(filepath.Join(filepath.Dir(p), "x"), nil, 0o600) }), nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := tt.make(t)
			if tt.problem == nil {
				path, tt.problem = filepath.Join(filepath.Dir(path), "x", "id"), ErrFileAccess
			}
			dir := filepath.Dir(path)
			var before []string
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				before = entries(t, dir)
			}
			k, created, err := LoadOrCreateKey(path, nil)
			wantFileError(t, err, path, tt.problem, tt.text)
			if k != nil || created {
				t.Error("a key came with the error")
			}
			if before != nil && strings.Join(entries(t, dir), " ") != strings.Join(before, " ") {
				t.Errorf("directory now holds %v", entries(t, dir))
			}
		})
	}
}

// Opening is by owner as well as by mode; a process cannot test both users.
func TestTrustedOwner(t *testing.T) {
	for _, tt := range []struct {
		uid, euid int
		want      bool
	}{{1000, 1000, true}, {1001, 1000, false}, {0, 1000, false}, {1000, 0, true}, {0, 0, true}} {
		if got := trustedOwner(tt.uid, tt.euid); got != tt.want {
			t.Errorf("file of %d, process of %d: %v", tt.uid, tt.euid, got)
		}
	}
}

// Modes that keep others out are accepted, and so is a directory that is open
// but sticky, as /tmp is.
func TestLoadKeyAcceptsTighterModes(t *testing.T) {
	needUnixModes(t)
	path := writeFile(t, testFile(t, "ed25519"), 0o400)
	if err := os.Chmod(filepath.Dir(path), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path, nil); err != nil {
		t.Error(err)
	}
}

// Error texts quote the path so that the command can be pasted, and so that a
// path cannot write to the terminal.
func TestFileErrorQuotesPath(t *testing.T) {
	for path, want := range map[string]string{
		"/home/ann/id":     "/home/ann/id",
		"/home/ann lee/id": "'/home/ann lee/id'",
		"it's":             `'it'\''s'`,
		"-rf":              "'./-rf'",
		"$(rm)":            "'$(rm)'",
		"a\x1b[2J\nb":      `'a\x1b[2J\nb'`,
		"":                 "''",
	} {
		if got := shellQuote(path); got != want {
			t.Errorf("shellQuote(%q) = %s, want %s", path, got, want)
		}
	}
}

// The way for file systems without hard links creates and never replaces.
func TestWriteExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "id")
	if err := writeExclusive(path, testFile(t, "ed25519")); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path, nil); err != nil {
		t.Error(err)
	}
	if err := writeExclusive(path, []byte("x")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second write: %v", err)
	}
	if _, err := LoadKey(path, nil); err != nil {
		t.Errorf("after the second write: %v", err)
	}
}

// raceEnv tells the test binary to be one of the racing processes.
const raceEnv = "PARLEY_TEST_RACE_FOR_KEY"

func TestMain(m *testing.M) {
	if path := os.Getenv(raceEnv); path != "" {
		fmt.Println("ready")
		_, _ = bufio.NewReader(os.Stdin).ReadByte() // the start signal: stdin closes
		k, created, err := LoadOrCreateKey(path, nil)
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(k.ID(), created)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// T28: processes that race to create a key end with the same one; exactly one
// of them made it.
func TestRacingProcessesAgree(t *testing.T) {
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("this system starts no processes")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		path := filepath.Join(t.TempDir(), "home", "id")
		const racers = 5
		var starts []func() error
		var outs []*bufio.Scanner
		var waits []func() error
		for range racers {
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), raceEnv+"="+path)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			starts, outs, waits = append(starts, in.Close), append(outs, bufio.NewScanner(out)), append(waits, cmd.Wait)
		}
		for _, out := range outs {
			if !out.Scan() || out.Text() != "ready" {
				t.Fatalf("a racer says %q", out.Text())
			}
		}
		for _, start := range starts {
			_ = start()
		}
		ids, makers := map[string]int{}, 0
		for i, out := range outs {
			out.Scan()
			id, created, _ := strings.Cut(out.Text(), " ")
			ids[id]++
			if created == "true" {
				makers++
			}
			if err := waits[i](); err != nil {
				t.Errorf("racer: %v: %s", err, out.Text())
			}
		}
		if len(ids) != 1 || makers != 1 {
			t.Errorf("%d makers, ids %v", makers, ids)
		}
		if names := entries(t, filepath.Dir(path)); len(names) != 1 {
			t.Errorf("left behind: %v", names)
		}
	}
}
