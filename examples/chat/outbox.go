package main

// line is one of our lines on its way to a peer.
type line struct {
	number uint64
	text   string
	sent   bool // at least once
}

// outbox holds what one peer has not yet acknowledged, oldest first. A line leaves
// it only by being acknowledged or refused, so that a new session can go on where the
// last one broke.
type outbox struct {
	lines []line
	next  int // how many of them were sent in this conversation
	// wary is the last line of those among which the peer refused one: up to it
	// they are sent one at a time.
	wary uint64
}

func (o *outbox) len() int   { return len(o.lines) }
func (o *outbox) full() bool { return len(o.lines) >= maxWaiting }

func (o *outbox) push(number uint64, text string) {
	o.lines = append(o.lines, line{number: number, text: text})
}

// take returns the next line to send.
func (o *outbox) take() (line, bool) {
	if o.next == len(o.lines) || o.next > 0 && o.lines[0].number <= o.wary {
		return line{}, false
	}
	l := &o.lines[o.next]
	l.sent = true
	o.next++
	return *l, true
}

// rewind has all lines sent again, in a new conversation.
func (o *outbox) rewind() { o.next = 0 }

// acknowledge drops the oldest line. It reports whether that is the one with this
// number, and was sent at all.
func (o *outbox) acknowledge(number uint64) bool {
	if len(o.lines) == 0 || o.lines[0].number != number || !o.lines[0].sent {
		return false
	}
	o.pop()
	return true
}

// refuse drops and returns the line that the peer refused, of those that were sent in a
// conversation: the numbers first to last. If it may have been one of several, nobody
// knows which, since acknowledgements may have been lost with the conversation: then
// they are going to be sent one at a time.
func (o *outbox) refuse(first, last uint64) (line, bool) {
	suspects := 0
	for suspects < len(o.lines) && o.lines[suspects].number >= first && o.lines[suspects].number <= last {
		suspects++
	}
	if suspects != 1 {
		o.wary = max(o.wary, last)
		return line{}, false
	}
	return o.pop(), true
}

// pop drops the oldest line.
func (o *outbox) pop() line {
	l := o.lines[0]
	o.lines[0] = line{}
	o.lines = o.lines[1:]
	o.next = max(0, o.next-1)
	return l
}

// drain empties the outbox and returns what was in it.
func (o *outbox) drain() []line {
	l := o.lines
	*o = outbox{}
	return l
}
