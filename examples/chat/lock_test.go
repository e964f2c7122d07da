package main

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

// TestHomeInUse: two chats on one home would be one key in two places, each taking the
// other's sessions over for ever. A chat that was killed leaves nothing behind.
func TestHomeInUse(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no lock on this system")
	}
	home := homes(t, 1)[0]
	first := start(t, "first", home)
	cmd := command(t, "-home", home, "-listen", "127.0.0.1:0")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	want := "chat: " + home + " is in use by another chat: use another -home\n"
	if cmd.ProcessState.ExitCode() != exitUsage || stdout.String() != "" || stderr.String() != want {
		t.Errorf("status %d, printed %q and on stderr %q", cmd.ProcessState.ExitCode(), stdout.String(), stderr.String())
	}
	_ = first.cmd.Process.Kill()
	<-first.exited
	start(t, "again", home).quits()

	h, err := openHome(home, os.Stdin, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	h.close()
}
