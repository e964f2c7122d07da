package main

import "testing"

func TestOutbox(t *testing.T) {
	var o outbox
	for n := range uint64(3) {
		o.push(n+1, "x")
	}
	if o.acknowledge(1) {
		t.Error("a line that was never sent is acknowledged")
	}
	take := func(want uint64) {
		t.Helper()
		if l, ok := o.take(); !ok || l.number != want {
			t.Errorf("takes line %d, %v, not %d", l.number, ok, want)
		}
	}
	take(1)
	take(2)
	if o.acknowledge(2) {
		t.Error("a line is acknowledged before the one that went first")
	}
	o.rewind()
	if !o.acknowledge(1) { // it came by the old conversation, late
		t.Error("a line that was sent before cannot be acknowledged")
	}
	take(2)
	take(3)
	if _, ok := o.take(); ok || !o.acknowledge(2) || !o.acknowledge(3) || o.acknowledge(3) || o.len() != 0 {
		t.Error("the end is wrong")
	}
	o.push(4, "x")
	take(4)
	if l := o.drain(); len(l) != 1 || o.len() != 0 {
		t.Errorf("drained %v", l)
	}
}
