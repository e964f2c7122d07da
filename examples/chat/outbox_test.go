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

// TestRefuse: a refused line is dropped when it is known which it is, and until then
// those that it may be are sent one at a time.
func TestRefuse(t *testing.T) {
	var o outbox
	for n := range uint64(4) {
		o.push(n+1, "x")
	}
	o.take()
	o.take()
	o.take()
	if _, ok := o.refuse(1, 3); ok {
		t.Error("a line is dropped though it may be another")
	}
	o.rewind()
	if l, ok := o.take(); !ok || l.number != 1 {
		t.Errorf("takes %d, %v", l.number, ok)
	}
	if l, ok := o.take(); ok {
		t.Errorf("takes line %d beside one that may be refused", l.number)
	}
	o.acknowledge(1)
	o.take()
	if l, ok := o.refuse(1, 2); !ok || l.number != 2 {
		t.Errorf("drops line %d, %v", l.number, ok)
	}
	if _, ok := o.refuse(1, 2); ok {
		t.Error("drops a line that was not sent")
	}
	o.rewind()
	o.take()
	o.acknowledge(3)
	if l, ok := o.take(); !ok || l.number != 4 {
		t.Errorf("takes %d, %v", l.number, ok)
	}
}
