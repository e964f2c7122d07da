package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStopped: a process that is stopped for a while, as a machine that sleeps, is the
// same session afterwards. Everything said meanwhile arrives, once and in order.
func TestStopped(t *testing.T) {
	t.Parallel()
	for name, beyond := range map[string]time.Duration{
		"silent":             0,                         // the connection may live on
		"without connection": idleTimeout + time.Second, // it is dead, and replaced
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits more than it works
			h := homes(t, 2)
			alice := start(t, "alice", h[0])
			bob := start(t, "bob", h[1], "-peer", alice.as("alice"))
			bob.expect(`^up alice$`)
			alice.expect(`^up`)
			alice.types("/name bob " + bob.id)
			alice.expect(`^notice`)
			stop(t, bob)
			alice.types("one")
			alice.expect(`^stalled bob$`)
			alice.types("/who")
			alice.expect(`^who bob (stalled|down) ` + bob.id + `, 1 line waits$`)
			alice.expect(`^down bob no answer$`)
			alice.types("two")
			alice.expect(`^notice bob is not connected; lines wait for it from line 2 on$`)
			bob.types("eins", "zwei") // it reads them when it goes on
			<-time.After(beyond)
			if err := bob.cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			for p, want := range map[*process][]string{
				alice: {"delivered 1", "delivered 2", "msg bob eins", "msg bob zwei", "up bob"},
				bob:   {"delivered 1", "delivered 2", "msg alice one", "msg alice two"},
			} {
				var got []string
				for len(got) < len(want) {
					l := p.line()
					again := l == "up bob" && slices.Contains(got, l) // the machine may be slow
					if !again && !regexp.MustCompile(`^(stalled|down|up alice|notice) ?`).MatchString(l) {
						got = append(got, l)
					}
				}
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("%s sees %q, not %q", p.name, got, want)
				}
			}
			bob.quits()
			alice.expect(`^down bob left$`)
			for _, p := range []*process{alice, bob} {
				if p.printed(`^undelivered`) {
					t.Errorf("%s gave lines up", p.name)
				}
				for _, text := range []string{"one", "two", "eins", "zwei"} {
					if n := strings.Count(p.transcript()+"\n", " "+text+"\n"); n > 1 {
						t.Errorf("%s saw %q %d times", p.name, text, n)
					}
				}
			}
		})
	}
}

// stop stops a process, without a trace on the network, until it is sent SIGCONT. It waits until every thread has
// stopped: the signal alone is only the beginning.
func stop(t *testing.T, p *process) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !stopped(t, p.cmd.Process.Pid) {
		<-tick.C
	}
}

// stopped reads the state of each thread, after the name in parentheses (proc(5)).
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		t.Fatal("no threads", err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err == nil && !strings.Contains(string(text), ") T ") { // else the thread has ended
			return false
		}
	}
	return true
}

// TestLeaveWhileCutOff: who leaves does not wait long for one who does not answer, also
// if so much waits for it that nothing more can be sent.
func TestLeaveWhileCutOff(t *testing.T) {
	t.Parallel() // it waits more than it works
	h := homes(t, 2)
	alice := start(t, "alice", h[0])
	bob := start(t, "bob", h[1], "-peer", alice.as("alice"))
	bob.expect(`^up alice$`)
	stop(t, alice)
	const n = 200 // of the longest: more than the credit of a conversation
	for range n {
		bob.types(strings.Repeat("x", maxLine))
	}
	bob.expect(`^down alice no answer$`)
	begun := time.Now()
	bob.quits()
	if d, most := time.Since(begun), deliveryWait+2*closeWait; d > most {
		t.Errorf("leaving took %v, more than %v", d, most)
	}
	if !bob.printed(fmt.Sprintf("^undelivered %d alice you left first$", n)) {
		t.Error("bob was not told what is lost")
	}
}
