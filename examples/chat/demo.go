package main

import (
	"errors"
	"time"
)

// script is what the user says in a demo without a terminal. With the robot's
// answers that makes eleven lines.
var script = []string{
	"Hello, robot!",
	"How do I know who you are?",
	"What does delivered mean?",
	"And if the connection breaks?",
	"Thanks. Goodbye!",
}

// answerWait is how long the script takes at most.
const answerWait = 10 * time.Second

var errNoAnswer = errors.New("the robot does not answer")

// recital is an interface that recites the script, each line when the one before has
// been delivered and answered. It shows what it says, too.
type recital struct {
	*plain

	goOn      bool // with what is typed, after the script
	answers   chan struct{}
	delivered chan struct{}
}

func newRecital(p *plain, goOn bool) *recital {
	return &recital{
		plain: p, goOn: goOn,
		answers: make(chan struct{}, maxThoughts), delivered: make(chan struct{}, maxThoughts),
	}
}

// run implements ui.
func (r *recital) run(submit func(string) bool) error {
	typed := make(chan error, 1)
	go func() { typed <- r.plain.run(submit) }()
	timer := time.NewTimer(answerWait)
	defer timer.Stop()
	await := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		case <-timer.C:
			return false
		}
	}
	if !await(r.answers) { // it greets
		return errNoAnswer
	}
	for _, text := range script {
		submit(text)
		if !await(r.delivered) || !await(r.answers) {
			return errNoAnswer
		}
	}
	if r.goOn {
		return <-typed
	}
	return nil
}

// show implements ui.
func (r *recital) show(e event) error {
	if e, ok := e.(said); ok {
		return r.write("sent " + e.text)
	}
	err := r.plain.show(e)
	switch e.(type) {
	case message:
		nudge(r.answers)
	case delivered:
		nudge(r.delivered)
	default: // nothing waits for it
	}
	return err
}

func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
