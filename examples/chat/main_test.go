package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// childVariable makes this test binary be the chat: what is tested is the program as
// it is, with the race detector if the tests have it.
const childVariable = "PARLEY_CHAT_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

// patient is how long a test waits for what has to happen.
const patient = 30 * time.Second

// process is a chat in a process of its own, in plain mode.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr bytes.Buffer
	exited chan struct{}

	mu    sync.Mutex
	lines []string
	next  int           // the first line that was not expected yet
	more  chan struct{} // closed, and replaced, when lines grow
	ended bool

	id, addr string
}

func command(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVariable+"=1", "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", passphraseVariable+"=")
	return cmd
}

// start starts a chat and waits until it listens.
func start(t *testing.T, name, home string, args ...string) *process {
	t.Helper()
	all := []string{"-home", home, "-nick", name}
	if !strings.Contains(strings.Join(args, " "), "-listen") {
		all = append(all, "-listen", "127.0.0.1:0")
	}
	p := launch(t, name, append(all, args...)...)
	p.id = p.expect(`^id ([a-z0-9]{52})$`)[1]
	p.addr = p.expect(`^listening udp (127\.0\.0\.1:\d+)$`)[1]
	return p
}

func launch(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: command(t, args...), exited: make(chan struct{}), more: make(chan struct{})}
	p.cmd.Stderr = &p.stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(stdout)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%s printed\n%s\nand on stderr\n%s", name, p.transcript(), p.stderr.String())
		}
		if strings.Contains(p.stderr.String(), "DATA RACE") {
			t.Errorf("%s has a data race:\n%s", name, p.stderr.String())
		}
	})
	return p
}

func (p *process) read(r io.Reader) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, in.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
	_ = p.cmd.Wait()
	p.mu.Lock()
	p.ended = true
	close(p.more)
	p.mu.Unlock()
	close(p.exited)
}

func (p *process) transcript() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := p.lines
	if len(lines) > 60 {
		lines = append([]string{fmt.Sprintf("(%d lines before)", len(lines)-60)}, lines[len(lines)-60:]...)
	}
	return strings.Join(lines, "\n")
}

// line returns the next line that the program prints.
func (p *process) line() string {
	p.t.Helper()
	l, err := p.await()
	if err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	return l
}

func (p *process) await() (string, error) {
	timeout := time.NewTimer(patient)
	defer timeout.Stop()
	for {
		p.mu.Lock()
		if p.next < len(p.lines) {
			defer p.mu.Unlock()
			p.next++
			return p.lines[p.next-1], nil
		}
		more, ended := p.more, p.ended
		p.mu.Unlock()
		if ended {
			return "", errors.New("it has ended")
		}
		select {
		case <-more:
		case <-timeout.C:
			return "", errors.New("nothing comes")
		}
	}
}

// expect skips lines up to one that matches, and returns its submatches.
func (p *process) expect(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	for {
		l, err := p.await()
		if err != nil {
			p.t.Fatalf("%s: no line like %s: %v", p.name, pattern, err)
		}
		if m := re.FindStringSubmatch(l); m != nil {
			return m
		}
	}
}

// printed reports whether a line that matches has been printed, ever.
func (p *process) printed(pattern string) bool {
	re := regexp.MustCompile(pattern)
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.lines, re.MatchString)
}

// types enters lines.
func (p *process) types(lines ...string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, strings.Join(lines, "\n")+"\n"); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// ends waits for the exit status.
func (p *process) ends(status int) {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patient):
		p.t.Fatalf("%s does not end", p.name)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		p.t.Errorf("%s ended with status %d instead of %d; stderr: %s", p.name, got, status, p.stderr.String())
	}
}

// quits leaves gracefully.
func (p *process) quits() {
	p.t.Helper()
	p.types("/quit")
	p.ends(exitOK)
}

// as is the value of a -peer flag for p.
func (p *process) as(petname string) string { return petname + "=" + p.id + "@" + p.addr }

// homes returns directories that do not exist yet.
func homes(t *testing.T, n int) []string {
	dir := t.TempDir()
	out := make([]string, n)
	for i := range out {
		out[i] = filepath.Join(dir, fmt.Sprint("home", i))
	}
	return out
}
