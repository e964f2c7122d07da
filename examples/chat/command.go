package main

import (
	"fmt"
	"strings"
)

const commandHelp = "/to PETNAME TEXT · /name PETNAME ID · /who · /help · /quit · //TEXT says /TEXT"

// submit does what a line of input says: it is sent, or it is a command. If it
// cannot be taken the user is told why.
func (n *node) submit(input string) (taken bool) {
	<-n.opened
	err := n.obey(strings.TrimSuffix(input, "\r"))
	if err != nil {
		n.room.show(notice{oneLine(err)})
	}
	return err == nil
}

func (n *node) obey(input string) error {
	text, escaped := strings.CutPrefix(input, "//")
	switch {
	case escaped:
		return n.room.say("/"+text, nil)
	case !strings.HasPrefix(input, "/"):
		return n.room.say(input, nil)
	}
	command, rest, _ := strings.Cut(input, " ")
	rest = strings.TrimLeft(rest, " ")
	switch command {
	case "/to":
		name, text, ok := strings.Cut(rest, " ")
		if !ok {
			return fmt.Errorf("/to wants a petname and a text")
		}
		m, err := n.room.find(name)
		if err != nil {
			return err
		}
		return n.room.say(text, m)
	case "/name":
		words := strings.Fields(rest)
		if len(words) != 2 {
			return fmt.Errorf("/name wants a petname and an id")
		}
		return n.room.name(words[0], words[1])
	}
	if rest != "" {
		return fmt.Errorf("%s takes nothing after it; a line that begins with a slash is sent with //", clean(command))
	}
	switch command {
	case "/who":
		n.room.list()
	case "/help":
		n.room.show(notice{commandHelp})
	case "/quit":
		n.quit()
	default:
		return fmt.Errorf("there is no command %s; /help lists them, and // sends a line that begins with a slash", clean(command))
	}
	return nil
}
