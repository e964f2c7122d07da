package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"parley/peer"
)

// testKey makes a key file and returns its id.
func testKey(t *testing.T, home, passphrase string) peer.ID {
	t.Helper()
	k, _, err := peer.LoadOrCreateKey(filepath.Join(home, "key"), []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return k.ID()
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCannotStart: whatever is wrong is one line on standard error that says what to
// do, and exit status 2.
func TestCannotStart(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	bob, carol := testKey(t, in("bob"), "").String(), testKey(t, in("carol"), "").String()
	own := testKey(t, in("home"), "").String()
	write(t, in("home/petnames"), "bob "+bob+"\n", 0o600)
	testKey(t, in("loose"), "")
	if err := os.Chmod(in("loose/key"), 0o644); err != nil {
		t.Fatal(err)
	}
	testKey(t, in("locked"), "secret")
	testKey(t, in("badbook"), "")
	write(t, in("badbook/petnames"), "# friends\nbob nonsense\n", 0o600)
	write(t, in("damaged/key"), "garbage", 0o600)
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })

	for _, c := range []struct {
		name, args string // ~ is the directory
		env        string
		want       string // a regular expression
	}{
		{"unknown flag", "-foo", "", `-foo.*-h lists the flags`},
		{"argument", "hello", "", `unexpected argument "hello".*-h lists them`},
		{"flag without its value", "-home", "", `needs an argument: -home`},
		{"empty home", "-home=", "", `-home is empty`},
		{"peer without id", "-home ~/home -peer bob", "", `PETNAME=ID@HOST:PORT`},
		{"bad id", "-home ~/home -peer bob=123@localhost:1", "", `3 characters, want 52; ask your friend for the line again`},
		{"peer without port", "-home ~/home -peer bob=" + bob + "@localhost", "", `"localhost" is not HOST:PORT`},
		{"peer with port 0", "-home ~/home -peer bob=" + bob + "@localhost:0", "", `port between 1 and 65535`},
		{"peer without host", "-home ~/home -peer bob=" + bob + "@:1", "", `has no host`},
		{"bad petname", "-home ~/home -peer b/b=" + bob + "@localhost:1", "", `invalid petname`},
		{"petname like a comment", "-home ~/home -peer #b=" + carol + "@localhost:1", "", `begins with #`},
		{"petname of another", "-home ~/home -peer bob=" + carol + "@localhost:1", "", `petname bob already names ` + bob},
		{"petname like another", "-home ~/home -peer b0b=" + carol + "@localhost:1", "", `petname b0b looks like bob`},
		{"second petname", "-home ~/home -peer robert=" + bob + "@localhost:1", "", `already has the petname bob`},
		{"own id", "-home ~/home -peer me=" + own + "@localhost:1", "", `that id is your own; for a second chat on this machine add -home DIR`},
		{"bad listen", "-home ~/home -listen nonsense", "", `"nonsense" is not HOST:PORT; for example`},
		{"bad port", "-home ~/home -listen :65536", "", `"65536" is not a port`},
		{"occupied port", "-home ~/home -listen " + taken.LocalAddr().String(), "", `in use by another program: choose another port`},
		{"address of another machine", "-home ~/home -listen 192.0.2.1:0", "", `is not an address of this machine`},
		{"key open to others", "-home ~/loose -listen 127.0.0.1:0", "", `open to others.*chmod 600`},
		{"damaged key", "-home ~/damaged -listen 127.0.0.1:0", "", `is not a whole OpenSSH private key`},
		{"locked key", "-home ~/locked -listen 127.0.0.1:0", "", `is encrypted.*set PARLEY_PASSPHRASE`},
		{"wrong passphrase", "-home ~/locked -listen 127.0.0.1:0", "PARLEY_PASSPHRASE=wrong", `does not open with that passphrase; try again`},
		{"needless passphrase", "-home ~/home -listen 127.0.0.1:0", "PARLEY_PASSPHRASE=secret", `is not encrypted`},
		{"home is a file", "-home ~/damaged/key", "", `cannot be accessed.*choose another directory with -home`},
		{"bad petnames", "-home ~/badbook", "", `petnames, line 2: .*correct the line`},
		{"no secret", "-home ~/home -network-secret-file ~/none", "", `cannot be accessed.*correct -network-secret-file`},
		{"secret open to others", "-home ~/home -network-secret-file " + write(t, in("s1"), "correct horse battery staple", 0o644), "", `chmod 600`},
		{"short secret", "-home ~/home -network-secret-file " + write(t, in("s2"), "short", 0o600), "", `too short`},
		{"empty secret", "-home ~/home -network-secret-file " + write(t, in("s3"), "", 0o600), "", `is empty; make one with: .* > ` + in("s3") + `\) and give every member the same`},
		{"bad nick", "-home ~/home -nick a/b", "", `try -nick ab`},
	} {
		t.Run(c.name, func(t *testing.T) { // not parallel: a home is for one chat at a time
			cmd := command(t, strings.Fields(strings.ReplaceAll(c.args, "~", dir))...)
			if c.env != "" {
				cmd.Env = append(cmd.Env, c.env)
			}
			var stdout, stderr strings.Builder
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run()
			got := strings.TrimSuffix(stderr.String(), "\n")
			if cmd.ProcessState.ExitCode() != exitUsage || stdout.String() != "" {
				t.Errorf("status %d, and printed %q", cmd.ProcessState.ExitCode(), stdout.String())
			}
			if !strings.HasPrefix(got, "chat: ") || strings.Contains(got, "\n") || !regexp.MustCompile(c.want).MatchString(got) {
				t.Errorf("stderr is %q, not one line like %s", got, c.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	out, err := command(t, "-h").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"-home", "-listen", "-nick", "-peer", "-network-secret-file", "-demo", "/to", "/name", "/who", "/quit", "//TEXT", "delivered N", "PARLEY_PASSPHRASE", "NO_COLOR", "Exit status", "may not have got it", "go run,"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the help does not mention %s", want)
		}
	}
	for l := range strings.SplitSeq(string(out), "\n") {
		if len(l) > 84 {
			t.Errorf("too wide for a terminal: %q", l)
		}
	}
}

// TestDefaults: without flags the key is in the user's configuration directory, the
// port is any free one, and the invitation works as it is.
func TestDefaults(t *testing.T) {
	first := launch(t, "first")
	id := first.expect(`^id (.*)$`)[1]
	port := first.expect(`^listening udp (?:\[::\]|0\.0\.0\.0):(\d+)$`)[1]
	invite := first.expect(`^invite go run \./examples/chat (-peer \S+=` + id + `@(\S+):` + port + `)$`)
	if ip := net.ParseIP(invite[2]); ip == nil || ip.IsUnspecified() {
		t.Errorf("nobody can dial %s", invite[2])
	}
	second := launch(t, "second", strings.Fields(invite[1])...)
	second.expect(`^up `)
	first.expect(`^up `)
}

// TestLockedKey: a passphrase in the environment encrypts a new key, and opens it.
func TestLockedKey(t *testing.T) {
	home := homes(t, 1)[0]
	t.Setenv(passphraseVariable, "secret")
	var ids [2]peer.ID
	for i := range ids {
		h, err := openHome(home, os.Stdin, os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = h.key.ID()
		h.close()
	}
	if ids[0] != ids[1] {
		t.Errorf("the id was %v and is %v", ids[0], ids[1])
	}
	t.Setenv(passphraseVariable, "")
	if _, err := openHome(home, devNull(t), os.Stderr); err == nil {
		t.Error("the key opens without its passphrase")
	}
}

func devNull(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
