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

// answerWait is how long the script waits for the robot.
const answerWait = 10 * time.Second

var errNoAnswer = errors.New("the robot does not answer")

// recital is an interface that recites the script, each line after the answer to the
// one before. It shows what it says, too.
type recital struct {
	*plain

	goOn    bool          // with what is typed, after the script
	answers chan struct{} // one for each line of the robot's
}

func newRecital(p *plain, goOn bool) *recital {
	return &recital{plain: p, goOn: goOn, answers: make(chan struct{}, maxThoughts)}
}

// run implements ui.
func (r *recital) run(submit func(string)) error {
	typed := make(chan error, 1)
	go func() { typed <- r.plain.run(submit) }()
	for i := 0; ; i++ {
		timer := time.NewTimer(answerWait)
		select {
		case <-r.answers:
			timer.Stop()
		case <-timer.C:
			return errNoAnswer
		}
		if i == len(script) {
			break
		}
		submit(script[i])
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
	if _, ok := e.(message); ok {
		select {
		case r.answers <- struct{}{}:
		default:
		}
	}
	return err
}
