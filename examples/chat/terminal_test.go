package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// tmux is a terminal of its own.
type tmux struct {
	t      *testing.T
	socket string
}

func newTmux(t *testing.T, width, height int, command string) *tmux {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("continuous integration must install tmux")
		}
		t.Skip("tmux is not installed, so there is no terminal to test with: apt-get install tmux")
	}
	m := &tmux{t, filepath.Join(t.TempDir(), "tmux")}
	t.Cleanup(func() { _ = m.command(context.Background(), "kill-server").Run() })
	m.run("new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), command)
	return m
}

func (m *tmux) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "tmux", append([]string{"-u", "-S", m.socket, "-f", os.DevNull}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TMUX=", "SHELL=/bin/sh") // the user's own may be none that runs commands
	return cmd
}

func (m *tmux) run(args ...string) string {
	m.t.Helper()
	out, err := m.command(m.t.Context(), args...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

// awaits waits until all the texts are on the screen.
func (m *tmux) awaits(flags []string, texts ...string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patient)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		screen := m.run(append([]string{"capture-pane", "-p"}, flags...)...)
		missing := ""
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				missing = text
			}
		}
		if missing == "" {
			return screen
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.t.Fatalf("no %q on the screen:\n%s", missing, screen)
		}
	}
}

// coloured matches a change of colour other than back to the default.
var coloured = regexp.MustCompile(`\x1b\[([0-9]+;)*(3[0-8]|9[0-7])[m;]`)

// child is a shell command that runs the chat and then says how it ended.
func child(args string) string {
	return "env -u NO_COLOR TERM=xterm-256color " + childVariable + "=1 '" + os.Args[0] + "' " + args + "; echo status $?; stty -a | tr ';' '\\n' | grep -w icanon; read x"
}

// TestTerminal looks at the text interface as a user does.
func TestTerminal(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {40, 10}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			m := newTmux(t, size[0], size[1], child("-demo"))
			m.awaits(nil, "key to key", "with robot")
			m.run("send-keys", "-l", "にほんご hello 🎉")
			m.run("send-keys", "Enter")
			m.awaits(nil, "you: にほんご hello 🎉 ✓", "Pleased to meet you")
			m.run("resize-window", "-x", "60", "-y", "12")
			m.awaits(nil, "you: にほんご hello 🎉 ✓", "with robot")
			if screen := m.awaits([]string{"-e"}, "robot"); !coloured.MatchString(screen) {
				t.Errorf("no colour for the peer's name: %q", screen)
			}
			m.run("send-keys", "Escape")
			m.awaits(nil, "status 0", " icanon")
		})
	}
}

// TestTerminalRefusal: what cannot be sent is said why, and is still there to correct.
func TestTerminalRefusal(t *testing.T) {
	m := newTmux(t, 80, 24, child("-listen 127.0.0.1:0 -home '"+t.TempDir()+"'"))
	m.awaits(nil, "nobody is here")
	text := strings.Repeat("x", maxLine)
	m.run("send-keys", "-l", text)
	m.run("send-keys", "-l", " end")
	m.run("send-keys", "Enter")
	m.awaits(nil, "· not sent: the line has 4100 bytes, and 4096 is the most", "x end\n")
}

// TestTerminalInvite: the invitation is in sight, and outside the interface in one
// piece, to be copied.
func TestTerminalInvite(t *testing.T) {
	m := newTmux(t, 80, 24, child("-nick alice -listen 127.0.0.1:0 -home '"+t.TempDir()+"'"))
	m.awaits(nil, "A friend connects to you with", "alice=", "Ctrl-Z", "nobody is here")
	m.run("send-keys", "Escape")
	screen := m.awaits([]string{"-J"}, "status 0", " icanon")
	if !regexp.MustCompile(`(?m)^go run ./examples/chat -peer alice=[a-z0-9]{52}@127\.0\.0\.1:\d+\s*$`).MatchString(screen) {
		t.Errorf("the invitation is not to be copied:\n%s", screen)
	}
}

// TestTerminalClosed: who closes the terminal's window leaves gracefully.
func TestTerminalClosed(t *testing.T) {
	h := homes(t, 2)
	alice := start(t, "alice", h[0])
	m := newTmux(t, 80, 24, child("-listen 127.0.0.1:0 -home '"+h[1]+"' -peer "+alice.as("alice")))
	alice.expect(`^up `)
	m.run("kill-server")
	alice.expect(`^down \S+ left$`)
}

// TestTerminalNoColor: NO_COLOR is honoured.
func TestTerminalNoColor(t *testing.T) {
	m := newTmux(t, 80, 24, strings.Replace(child("-demo"), "-u NO_COLOR", "NO_COLOR=1", 1))
	m.awaits(nil, "robot: Hello!")
	if screen := m.awaits([]string{"-e"}, "robot"); coloured.MatchString(screen) {
		t.Errorf("colours: %q", screen)
	}
	m.run("send-keys", "C-c")
	m.awaits(nil, "status 0", " icanon")
}

// TestTerminalPassphrase: an encrypted key asks for its passphrase, without an echo.
func TestTerminalPassphrase(t *testing.T) {
	home := t.TempDir()
	testKey(t, home, "open sesame")
	m := newTmux(t, 80, 24, child("-listen 127.0.0.1:0 -home '"+home+"'"))
	if screen := m.awaits(nil, "passphrase of "); strings.Contains(screen, "status") {
		t.Fatal(screen)
	}
	m.run("send-keys", "-l", "open sesame")
	m.run("send-keys", "Enter")
	screen := m.awaits(nil, "nobody is here")
	if strings.Contains(screen, "sesame") {
		t.Errorf("the passphrase is on the screen:\n%s", screen)
	}
	m.run("send-keys", "-l", "/quit")
	m.run("send-keys", "Enter")
	if screen := m.awaits(nil, "status 0"); strings.Contains(screen, "sesame") {
		t.Errorf("the passphrase is on the screen:\n%s", screen)
	}
}
