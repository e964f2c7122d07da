package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sshKeygen runs the real thing and returns its output.
func sshKeygen(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.Command("ssh-keygen", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

func needSSHKeygen(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("continuous integration must install ssh-keygen: ", err)
		}
		t.Skip("ssh-keygen is not installed: ", err)
	}
}

// I2: ssh-keygen reads, inspects and re-encrypts the keys we make.
func TestSSHKeygenReadsOurKeys(t *testing.T) {
	needSSHKeygen(t)
	for _, passphrase := range []string{"", testPassphrase} {
		path := filepath.Join(t.TempDir(), "id")
		k, _, err := LoadOrCreateKey(path, []byte(passphrase))
		if err != nil {
			t.Fatal(err)
		}
		line := sshKeygen(t, "-y", "-P", passphrase, "-f", path)
		if got := idOfPub(t, line); got != k.ID() {
			t.Errorf("ssh-keygen reads %v, want %v", got, k.ID())
		}
		if !strings.Contains(string(line), k.ID().String()) {
			t.Errorf("the comment does not name the id: %s", line)
		}
		sshKeygen(t, "-p", "-P", passphrase, "-N", "another one", "-f", path)
		if again, err := LoadKey(path, []byte("another one")); err != nil || again.ID() != k.ID() {
			t.Errorf("after ssh-keygen -p: %v", err)
		}
	}
}

// I2: we read the keys that this machine's ssh-keygen makes.
func TestWeReadSSHKeygensKeys(t *testing.T) {
	needSSHKeygen(t)
	for _, passphrase := range []string{"", testPassphrase} {
		path := filepath.Join(t.TempDir(), "id")
		sshKeygen(t, "-q", "-t", "ed25519", "-N", passphrase, "-C", "someone@somewhere", "-f", path)
		k, err := LoadKey(path, []byte(passphrase))
		if err != nil {
			t.Fatal(err)
		}
		if want := idOfPub(t, sshKeygen(t, "-y", "-P", passphrase, "-f", path)); k.ID() != want {
			t.Errorf("we read %v, ssh-keygen %v", k.ID(), want)
		}
	}
}
