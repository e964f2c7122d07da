package netwatch

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	inNamespace = "NETWATCH_TEST_NAMESPACE"
	// patience bounds waits for the kernel that end at once unless something is broken.
	patience = 10 * time.Second
	// quiet is how long a change that must not be reported gets.
	quiet = 3 * settle
)

// TestKernel runs itself again in a network namespace of its own.
func TestKernel(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		t.Run("changes", kernelChanges)
		t.Run("end", kernelEnd)
		return
	}
	if testing.Short() {
		t.Skip("waits 15 s for things that must not happen")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root may make a network namespace")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs the ip command: ", err)
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKernel$", "-test.v")
	c.Env = append(os.Environ(), inNamespace+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := c.CombinedOutput()
	if err != nil && strings.Contains(err.Error(), "fork/exec") {
		t.Skip("no network namespaces here: ", err)
	}
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

func kernelChanges(t *testing.T) {
	ip(t, "link set lo up")
	ip(t, "link add v0 type veth peer name v1")
	ip(t, "link set v0 up")
	ip(t, "link set v1 up")
	// The peer has no addresses, so that those of v0 alone count. Duplicate address detection takes a second.
	ip(t, "addr add 192.0.2.1/24 dev v0")
	ip(t, "route add default via 192.0.2.254")

	ctx, cancel := context.WithCancel(t.Context())
	calls := make(chan struct{}, 100)
	done, err := Watch(ctx, func() { calls <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		commands string // separated by ";"
		want     bool
	}{
		{"addr add 192.0.2.2/24 dev v0", true},
		{"addr change 192.0.2.2/24 dev v0 valid_lft 1000 preferred_lft 900", false}, // a lease renewed
		{"addr change 192.0.2.2/24 dev v0 valid_lft 2000 preferred_lft 1900", false},
		{"neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev v0; neigh del 192.0.2.9 dev v0", false},
		{"addr add 127.0.0.9/8 dev lo", false},
		{"route add 203.0.113.0/24 via 192.0.2.254", false},
		{"link set v0 alias uplink", false},
		{"addr add 192.0.2.3/24 dev v0; addr del 192.0.2.3/24 dev v0", false},         // within the settling time
		{"link add d0 type veth peer name d9; link set d0 up; link set d9 up", false}, // an interface without addresses
		{"addr del 192.0.2.2/24 dev v0", true},
		{"route replace default via 192.0.2.253", true},
		{"route add 0.0.0.0/1 via 192.0.2.252; route add 128.0.0.0/1 via 192.0.2.252", true}, // as some VPNs do
		{"rule add to 198.41.0.0/16 unreachable", true},
		{"rule del to 198.41.0.0/16 unreachable", true},
		{"addr add 2001:db8::1/64 dev v0 nodad", true},
		{"route add default via 2001:db8::2", true},
		{"addr add fe80::9/64 dev v0 nodad", false},
		{"link set v1 down", true}, // the cable of v0 is pulled
		{"link set v1 up", true},
		{"link del v0", true},
	} {
		for c := range strings.SplitSeq(step.commands, ";") {
			ip(t, c)
		}
		wait := quiet
		if step.want {
			wait = patience
		}
		start := time.Now()
		select {
		case <-calls:
			if !step.want {
				t.Errorf("%s: reported", step.commands)
			} else if d := time.Since(start); d > 5*settle {
				t.Errorf("%s: reported after %v", step.commands, d)
			}
		case <-time.After(wait):
			if step.want {
				t.Errorf("%s: not reported", step.commands)
			}
		}
		settleDown(calls)
	}

	var burst []string
	for i := range 30 {
		burst = append(burst, fmt.Sprintf("addr add 198.51.100.%d/32 dev d0", i+1))
	}
	batch(t, burst)
	<-calls
	if more := settleDown(calls); more > 1 {
		t.Errorf("a burst of 30 changes is %d calls", more+1)
	}
	cancel()
	<-done
}

// settleDown waits until nothing has been reported for a while and counts what was.
func settleDown(calls <-chan struct{}) (n int) {
	for {
		select {
		case <-calls:
			n++
		case <-time.After(quiet / 2):
			return n
		}
	}
}

// batch has one ip process do many things.
func batch(t *testing.T, lines []string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "ip", "-batch", "-")
	c.Stdin = strings.NewReader(strings.Join(lines, "\n"))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("ip -batch: %v: %s", err, out)
	}
}

// Events that the kernel had to drop are a change too, and the end of the context ends a watch that is behind.
func kernelEnd(t *testing.T) {
	ip(t, "link add d1 type veth peer name d8")
	ip(t, "link set d1 up")
	ip(t, "link set d8 up")
	ctx, cancel := context.WithCancel(t.Context())
	calls, proceed := make(chan struct{}), make(chan struct{})
	done, err := Watch(ctx, func() {
		calls <- struct{}{}
		<-proceed
	})
	if err != nil {
		t.Fatal(err)
	}
	ip(t, "addr add 198.18.0.1/32 dev d1")
	<-calls // the watch is held up
	var flood []string
	for i := range 2_000 {
		flood = append(flood, fmt.Sprintf("addr add 10.9.%d.%d/32 dev d1", i/250, i%250+1))
	}
	batch(t, flood)
	proceed <- struct{}{}
	select {
	case <-calls:
	case <-time.After(patience):
		t.Fatal("a flood of changes is not reported")
	}
	cancel()
	select {
	case <-done:
		t.Error("done before the last call has returned")
	case <-time.After(quiet):
	}
	proceed <- struct{}{}
	<-done
}
