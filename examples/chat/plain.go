package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
)

// plain is the interface for scripts and tests: input and events are lines.
type plain struct {
	in io.Reader

	mu  sync.Mutex
	out io.Writer
}

// run implements ui. Input that is being waited for keeps it from ending: nothing
// can be done about that, and nobody waits for it.
func (p *plain) run(submit func(string) bool) error {
	in := bufio.NewReaderSize(p.in, maxLine+len("/to ")+1024)
	for {
		text, long, err := readLine(in)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case long:
			_ = p.show(notice{fmt.Sprintf("not sent: the line is longer than %d bytes", maxLine)})
		default:
			submit(text)
		}
	}
}

// readLine reads a line without its end. One that is longer than the reader's buffer
// is skipped. A last line need not have an end.
func readLine(in *bufio.Reader) (text string, long bool, err error) {
	part, err := in.ReadSlice('\n')
	for errors.Is(err, bufio.ErrBufferFull) {
		long = true
		part, err = in.ReadSlice('\n')
	}
	switch {
	case err == nil:
		part = part[:len(part)-1]
	case len(part) > 0 || long:
		err = nil
	}
	return string(part), long, err
}

// show implements ui.
func (p *plain) show(e event) error {
	if text := plainText(e); text != "" {
		return p.write(text)
	}
	return nil
}

func (p *plain) write(text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := io.WriteString(p.out, text+"\n")
	return err
}

// close implements ui.
func (*plain) close() {}

// plainText is an event as lines, mostly one, or "" if scripts are not told.
func plainText(e event) string {
	switch e := e.(type) {
	case started:
		s := fmt.Sprintf("id %s\nlistening udp %s", e.id, e.addr)
		if e.invite != "" {
			s += "\ninvite " + e.invite
		}
		return s
	case arrived:
		return "up " + e.who.full()
	case departed:
		if e.news() {
			return "down " + e.who.label() + " " + e.reason
		}
		return ""
	case stalled:
		return "stalled " + e.who.label()
	case cutOff:
		return "down " + e.who.label() + " " + e.reason
	case resumed:
		return "up " + e.who.full()
	case message:
		return "msg " + e.who.label() + " " + e.text
	case said:
		return ""
	case delivered:
		return fmt.Sprintf("delivered %d", e.number)
	case undelivered:
		return fmt.Sprintf("undelivered %d %s %s", e.number, e.who.label(), e.reason)
	case unreachable:
		return "unreachable " + e.who.label() + " " + e.reason
	case renamed:
		if e.old != "" {
			return fmt.Sprintf("notice %s is now called %s", e.old, e.who.petname)
		}
		return fmt.Sprintf("notice %s is now called %s", e.who.short, e.who.petname)
	case listed:
		return "who " + listing(e)
	case notice:
		return "notice " + e.text
	}
	return ""
}

// listing is an answer to /who as text.
func listing(e listed) string {
	s := fmt.Sprintf("%s %s %s", e.who.full(), e.state, e.who.id)
	if e.address != "" {
		s += " " + e.address
	}
	if e.waiting > 0 {
		verb := "wait"
		if e.waiting == 1 {
			verb = "waits"
		}
		s += ", " + lines(e.waiting) + " " + verb
	}
	return s
}

// lines is a number of lines in words.
func lines(n int) string {
	if n == 1 {
		return "1 line"
	}
	return fmt.Sprintf("%d lines", n)
}
