// Command chat lets two or more keys chat. It is an example of a program on Parley:
// protocol.go is what it says on the wire, room.go who is there, node.go how the
// layers are joined; the rest is for the user.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"parley/peer"
)

// Exit statuses.
const (
	exitOK          = 0
	exitUndelivered = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the program. What keeps it from starting is one line on stderr.
func run(args []string, stdin, stdout *os.File, stderr io.Writer) int {
	o, err := parseOptions(args)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	status := exitUsage
	if err == nil {
		status, err = chat(o, stdin, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "chat: "+oneLine(err))
	}
	return status
}

// chat runs until the user leaves, and returns the exit status.
func chat(o options, stdin, stdout *os.File, stderr io.Writer) (int, error) {
	h, err := openHome(o.home, stdin, stderr)
	if err != nil {
		return exitUsage, err
	}
	defer h.close()
	if err := h.befriend(o.friends); err != nil {
		return exitUsage, err
	}
	s := settings{home: h, listen: o.listen, nick: o.nick, given: o.friends}
	if o.secretFile != "" {
		if s.secret, err = peer.LoadSecret(o.secretFile); err != nil {
			return exitUsage, advise(err, "correct -network-secret-file")
		}
	}
	sink := &lineSink{emit: func(line string) { fmt.Fprintln(stderr, "chat: "+line) }}
	s.log = slog.New(warnings{level: slog.LevelWarn, to: sink})

	interrupts := make(chan os.Signal, 2)
	interrupt := func() {
		select {
		case interrupts <- os.Interrupt:
		default: // two are waiting, which is all that counts
		}
	}
	onTerminal := term.IsTerminal(int(stdin.Fd())) && term.IsTerminal(int(stdout.Fd())) && os.Getenv("TERM") != "dumb"
	p := &plain{in: stdin, out: stdout}
	s.ui = p
	if o.demo {
		r, err := startRobot(&s, onTerminal)
		if err != nil {
			return exitUsage, err
		}
		defer r.leaveAtOnce()
		if !onTerminal {
			s.ui = newRecital(p, term.IsTerminal(int(stdin.Fd())))
		}
	}
	if onTerminal {
		s.ui = newTerminal(interrupt)
	}
	n, err := newNode(s)
	if err != nil {
		return exitUsage, err
	}
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(interrupts, syscall.SIGHUP) // the terminal's window was closed
	}
	defer signal.Stop(interrupts)
	first := started{id: h.key.ID(), addr: n.host.Addr().String()}
	if !o.demo {
		first.invite = invitation(o.nick, first.id, n.host.Addr(), o.secretFile)
	}
	if onTerminal {
		if first.invite != "" {
			// The interface has a screen of its own and breaks lines; what is printed
			// here can be copied in one piece.
			fmt.Fprintf(stdout, "A friend connects to you with\n%s\n", first.invite)
		}
		sink.set(func(line string) { go n.room.show(notice{line}) })
	}
	return n.live(first, interrupts)
}

// live shows the node to its user until either wants to end. It returns the exit
// status, and why the interface failed. A second interrupt ends it at once.
func (n *node) live(first started, interrupts <-chan os.Signal) (int, error) {
	defer n.ui.close()
	ended := make(chan error, 1)
	go func() { ended <- n.ui.run(n.submit) }()
	n.room.show(first)
	n.open()

	var failed error
	byEnd := false
	select {
	case failed = <-ended:
		byEnd = true
	case <-n.leaving:
	case <-interrupts:
	}
	left := make(chan int, 1)
	go func() { left <- n.leave(context.Background()) }()
	select {
	case lost := <-left:
		if failed != nil || byEnd && lost > 0 {
			return exitUndelivered, failed
		}
		return exitOK, nil
	case <-interrupts:
		return exitInterrupted, nil
	}
}
