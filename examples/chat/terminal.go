package main

import (
	"errors"

	tea "charm.land/bubbletea/v2"
)

// maxAhead is how many lines the user may be ahead of the program.
const maxAhead = 64

var errClosedTerminal = errors.New("the terminal is closed")

// terminal is the interface for people: a bubbletea program around a screen.
type terminal struct {
	program *tea.Program
	typed   chan string
	over    chan struct{} // closed when the program has ended
}

// newTerminal makes a terminal. Interrupt is called when the user wants to leave, and
// again if that does not go fast enough.
func newTerminal(interrupt func()) *terminal {
	t := &terminal{typed: make(chan string, maxAhead), over: make(chan struct{})}
	enter := func(line string) bool {
		select {
		case t.typed <- line:
			return true
		default:
			return false
		}
	}
	// Signals are the program's as a whole.
	t.program = tea.NewProgram(newScreen(enter, interrupt), tea.WithoutSignalHandler())
	return t
}

// run implements ui.
func (t *terminal) run(submit func(string) bool) error {
	go func() {
		for {
			select {
			case line := <-t.typed:
				if !submit(line) {
					t.program.Send(refused{line})
				}
			case <-t.over:
				return
			}
		}
	}()
	defer close(t.over)
	_, err := t.program.Run()
	return err
}

// shown asks the screen to show an event, and to say so.
type shown struct {
	event event
	done  chan<- struct{}
}

// refused gives the screen a line back that was not taken.
type refused struct{ line string }

// show implements ui.
func (t *terminal) show(e event) error {
	done := make(chan struct{})
	t.program.Send(shown{e, done}) // waits for the program to start
	select {
	case <-done:
		return nil
	case <-t.over:
		return errClosedTerminal
	}
}

// close implements ui. It does nothing to a program that has ended.
func (t *terminal) close() {
	t.program.Quit()
	<-t.over
}
