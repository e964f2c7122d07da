package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestThousandLines: two processes with fresh homes exchange 1,000 lines each way,
// in order, none lost, each delivered.
func TestThousandLines(t *testing.T) {
	h := homes(t, 2)
	alice := start(t, "alice", h[0])
	bob := start(t, "bob", h[1], "-peer", alice.as("alice"))
	bob.expect(`^up alice$`)
	alice.expect(`^up ` + bob.id[:8] + ` "bob"$`)
	const n = 1000
	for _, p := range []*process{alice, bob} {
		go func() {
			for i := range n {
				fmt.Fprintf(p.stdin, "line %d of %s\n", i+1, p.name)
			}
		}()
	}
	for _, p := range []*process{alice, bob} {
		from, whose := "alice", "alice"
		if p == alice {
			from, whose = bob.id[:8], "bob"
		}
		for heard, acked := 0, 0; heard < n || acked < n; {
			switch l := p.line(); {
			case l == fmt.Sprintf("msg %s line %d of %s", from, heard+1, whose):
				heard++
			case l == fmt.Sprintf("delivered %d", acked+1):
				acked++
			default:
				t.Fatalf("%s: after %d lines and %d deliveries: %s", p.name, heard, acked, l)
			}
		}
	}
	bob.quits()
	alice.expect(`^down ` + bob.id[:8] + ` left$`)
	alice.quits()
}

// TestRestart: a restarted process with the same home has the same id, is dialled
// again (C8), and is recognised by petname; so is whom it knows.
func TestRestart(t *testing.T) {
	h := homes(t, 2)
	alice := start(t, "alice", h[0])
	bob := start(t, "bob", h[1], "-peer", alice.as("alice"))
	alice.expect(`^up`)
	alice.types("/name bob " + bob.id[:8])
	alice.expect(`^notice .* now called bob$`)
	bob.expect(`^up alice$`)
	alice.quits()
	bob.expect(`^down alice left$`)
	bob.types("while you were away") // waits, since alice is of the command line
	bob.expect(`^notice alice is not connected; lines wait for it from line 1 on$`)

	again := start(t, "alice", h[0], "-listen", alice.addr)
	if again.id != alice.id {
		t.Fatalf("the id was %s and is %s", alice.id, again.id)
	}
	bob.expect(`^up alice$`)
	again.expect(`^up bob$`)
	again.expect(`^msg bob while you were away$`)
	bob.expect(`^delivered 1$`)

	// With a petname and an address in its home, bob needs no flags.
	bob.quits()
	again.expect(`^down bob left$`)
	bob = start(t, "bob", h[1])
	bob.expect(`^up alice$`)
	again.expect(`^up bob$`)
}

// TestKill: a peer that dies without a word is found missing, and comes back. What was
// said to it meanwhile arrives once, though it is a stranger and knows nothing of the
// session any more.
func TestKill(t *testing.T) {
	t.Parallel() // it waits more than it works
	h := homes(t, 2)
	alice := start(t, "alice", h[0])
	bob := start(t, "bob", h[1], "-peer", alice.as("alice"))
	bob.expect(`^up alice$`)
	alice.expect(`^up`)
	_ = bob.cmd.Process.Kill()
	alice.expect(`^down ` + bob.id[:8] + ` no answer$`)
	alice.types("are you there?")
	alice.expect(`^notice ` + bob.id[:8] + ` "bob" is not connected; lines wait for it from line 1 on$`)
	bob = start(t, "bob", h[1])
	if l := alice.line(); l != "up "+bob.id[:8]+` "bob"` { // not down once more
		t.Errorf("alice sees %q", l)
	}
	bob.expect(`^up alice$`)
	bob.expect(`^msg alice are you there\?$`)
	alice.expect(`^delivered 1$`)

	// One that comes back before it is missed is not mistaken for the one before.
	_ = bob.cmd.Process.Kill()
	<-bob.exited
	alice.types("and now?")
	bob = start(t, "bob", h[1], "-listen", bob.addr)
	alice.expect(`^down ` + bob.id[:8])
	alice.expect(`^up ` + bob.id[:8])
	bob.types("back")
	alice.expect(`^msg ` + bob.id[:8] + ` back$`)
	bob.expect(`^msg alice and now\?$`)
	bob.expect(`^delivered 1$`)

	// The side that is dialled may be the one that dies: the session is lost, and
	// dialled anew.
	_ = alice.cmd.Process.Kill()
	<-alice.exited
	bob.types("hello?")
	bob.expect(`^stalled alice$`)
	alice = start(t, "alice", h[0], "-listen", alice.addr)
	bob.expect(`^up alice$`)
	alice.expect(`^msg ` + bob.id[:8] + ` hello\?$`)
	bob.expect(`^delivered 2$`)
	if alice.printed(`^undelivered`) || bob.printed(`^undelivered`) {
		t.Error("lines were given up")
	}
}

// TestWrongKey: where another key answers, nothing is said, and the user is told.
func TestWrongKey(t *testing.T) {
	h := homes(t, 3)
	mallory := start(t, "mallory", h[0])
	bob := start(t, "bob", h[1])
	alice := start(t, "alice", h[2], "-peer", "bob="+bob.id+"@"+mallory.addr)
	alice.types("secret plans")
	alice.expect(`^unreachable bob authentication failed: .*, at ` + mallory.addr + `$`)
	mallory.quits()
	if mallory.printed(`^(up|msg)`) {
		t.Error("the other key heard something")
	}
}

// TestNetworkSecret: peers with another secret, or none, learn nothing (I4).
func TestNetworkSecret(t *testing.T) {
	h := homes(t, 4)
	secret := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ours, theirs := secret("ours", "correct horse battery staple"), secret("theirs", "wrong horse battery staple")
	alice := start(t, "alice", h[0], "-network-secret-file", ours)
	for i, c := range []struct {
		args []string
		told string
	}{
		{[]string{"-network-secret-file", theirs}, `not in the private network that we are in`},
		{nil, `it is in a private network; ask for its secret \(-network-secret-file\), at `},
	} {
		other := start(t, "other", h[1+i], append(c.args, "-peer", alice.as("alice"))...)
		other.types("anybody there?")
		other.expect(`^unreachable alice authentication failed: .*` + c.told)
		_ = other.cmd.Process.Kill()
	}
	bob := start(t, "bob", h[3], "-peer", alice.as("alice"), "-network-secret-file", ours)
	bob.expect(`^up alice$`)
	alice.expect(`^up .* "bob"$`)
	alice.quits()
	if alice.printed(`"other"|anybody`) {
		t.Error("a peer with another secret was let in")
	}
}

// TestThreePeers: to all, to one, and who is who.
func TestThreePeers(t *testing.T) {
	h := homes(t, 3)
	alice := start(t, "alice", h[0])
	bob := start(t, "bob", h[1], "-peer", alice.as("alice"))
	alice.expect(`^up .* "bob"$`)
	alice.types("/name bob " + bob.id)
	alice.expect(`^notice`)
	// A stranger who calls himself like a friend, with a Cyrillic о.
	bob2 := start(t, "bоb", h[2], "-peer", alice.as("alice"))
	stranger := bob2.id[:8]
	alice.expect(`^up ` + stranger + ` "bоb" \(looks like bob\)$`)
	bob.expect(`^up alice$`)
	bob2.expect(`^up alice$`)

	alice.types("to both", "/to bob to one", "/to "+stranger+" to the other", "//who", "/to bоb by nickname")
	alice.expect(`^notice nobody is called "bоb"`)
	for p, want := range map[*process][]string{
		bob:  {"to both", "to one", "/who"},
		bob2: {"to both", "to the other", "/who"},
	} {
		for _, text := range want {
			if got := p.line(); got != "msg alice "+text {
				t.Errorf("%s got %q instead of %q", p.name, got, text)
			}
		}
	}
	alice.types("/who")
	alice.expect(`^who bob up ` + bob.id)
	alice.expect(`^who ` + stranger + ` "bоb" \(looks like bob\) up ` + bob2.id)

	// Names are refused that could be taken for others.
	for _, c := range []struct{ typed, answer string }{
		{"/name bob " + bob2.id, `^notice petname bob already names ` + bob.id},
		{"/name b0b " + bob2.id, `^notice petname b0b looks like bob`},
		{"/name friend " + alice.id, `^notice that id is your own`},
		{"/name carol", `^notice /name wants`},
		{"/name x=y " + bob2.id, `^notice invalid petname`},
		{"/name carol nonsense", `^notice nobody is called "nonsense"`},
		{"/to bob", `^notice /to wants`},
		{"/dance", `^notice there is no command /dance`},
		{"/who bob", `^notice /who takes nothing`},
		{strings.Repeat("x", maxLine+1), `^notice not sent: the line has 4097 bytes`},
		{strings.Repeat("x", 9*maxLine), `^notice not sent: the line is longer`},
		{"a\rb", `^notice not sent: the line has a line break`},
		{"not \xff UTF-8", `^notice not sent: the line is not UTF-8`},
		{"/name carol " + bob2.id, `^notice ` + stranger + ` is now called carol`},
		{"/name robert " + bob.id, `^notice bob is now called robert`},
	} {
		alice.types(c.typed)
		for {
			got := alice.line()
			if strings.HasPrefix(got, "delivered") {
				continue
			}
			if !regexp.MustCompile(c.answer).MatchString(got) {
				t.Errorf("%.40q: %q is not like %s", c.typed, got, c.answer)
			}
			break
		}
	}
	alice.types("/to carol hello carol")
	bob2.expect(`^msg alice hello carol$`)
}

// TestNothingPassesToTheTerminal: a peer's text is exactly one line, without controls.
func TestNothingPassesToTheTerminal(t *testing.T) {
	h := homes(t, 2)
	alice := start(t, "alice", h[0])
	bob := start(t, "bob", h[1], "-peer", alice.as("alice"))
	alice.expect(`^up`)
	bob.types("\x1b[2Jred\x1b[31m \u202egnp.exe \x07\u009b1m end")
	if got, want := alice.expect(`^msg \S+ (.*)$`)[1], "␛[2Jred␛[31m �gnp.exe ␇�1m end"; got != want {
		t.Errorf("printed %q instead of %q", got, want)
	}
}

func TestDemo(t *testing.T) {
	p := launch(t, "demo", "-demo")
	p.stdin.Close()
	p.ends(exitOK)
	if !p.printed(`^id `) || !p.printed(`^up robot$`) || !p.printed(`^delivered 5$`) {
		t.Error("the demo is not complete")
	}
	if strings.Count(p.transcript(), "msg robot ") != 6 {
		t.Error("the robot says not six lines")
	}
}

func TestSignals(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(fmt.Sprint(sig), func(t *testing.T) {
			h := homes(t, 2)
			alice := start(t, "alice", h[0])
			bob := start(t, "bob", h[1], "-peer", alice.as("alice"))
			bob.expect(`^up alice$`)
			alice.expect(`^up`)
			_ = bob.cmd.Process.Signal(sig)
			bob.ends(exitOK)
			alice.expect(`^down .* left$`)
		})
	}
	t.Run("a second one ends at once", func(t *testing.T) {
		h := homes(t, 2)
		gone := start(t, "gone", h[0])
		_ = gone.cmd.Process.Kill()
		alice := start(t, "alice", h[1], "-peer", gone.as("gone"))
		alice.types("is anybody there?")
		alice.expect(`^notice gone is not connected`)
		_ = alice.cmd.Process.Signal(os.Interrupt)
		alice.expect(`^notice waiting for 1 line to`)
		_ = alice.cmd.Process.Signal(os.Interrupt)
		alice.ends(exitInterrupted)
	})
}

// TestEndOfInput: what was typed is delivered before the end.
func TestEndOfInput(t *testing.T) {
	h := homes(t, 2)
	alice := start(t, "alice", h[0])
	bob := start(t, "bob", h[1], "-peer", alice.as("alice"))
	if _, err := io.WriteString(bob.stdin, "one\r\ntwo\n\nno newline at the end"); err != nil {
		t.Fatal(err)
	}
	bob.stdin.Close()
	bob.ends(exitOK)
	for _, text := range []string{"one", "two", "", "no newline at the end"} {
		alice.expect(`^msg \S+ ` + text + `$`)
	}
	if !bob.printed(`^delivered 4$`) {
		t.Error("not all was delivered")
	}

	start := time.Now()
	bob = launch(t, "bob", "-home", h[1], "-listen", "127.0.0.1:0", "-peer", "alice="+alice.id+"@"+alice.addr)
	bob.stdin.Close()
	bob.ends(exitOK)
	if d := time.Since(start); d > deliveryWait {
		t.Errorf("it waited %v for nothing", d)
	}
}
