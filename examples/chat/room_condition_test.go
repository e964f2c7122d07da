package main

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/dispatch/dispatchtest"
	"parley/socket"
)

// becomes has the session with another site be in a condition.
func (s *site) becomes(other *site, c socket.Condition) {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	m := s.members[other.end.LocalID()]
	s.conditionOf(m, m.session, c, &socket.Error{Code: socket.Timeout})
}

// TestConditions: the user is told of outages, once each, and lines wait for their end.
func TestConditions(t *testing.T) {
	inBubble(t, func(_ *testing.T, alice, bob *site) {
		bob.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
		alice.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
		bob.says("one")
		bob.becomes(alice, socket.ConditionStalled)
		bob.shows("stalled alice")
		bob.list()
		bob.shows("who alice stalled " + alice.end.LocalID().String() + ", 1 line waits")
		bob.says("two") // it may still arrive soon
		bob.becomes(alice, socket.ConditionDown)
		bob.shows("down alice no answer")
		bob.says("three")
		bob.says("four")
		bob.shows("notice alice is not connected; lines wait for it from line 3 on")
		bob.end.Intercept(nil)
		alice.end.Intercept(nil)
		dispatchtest.Disconnect(alice.end, bob.end, errors.New("began anew")) // what was held is lost
		connect(alice, bob)
		alice.shows("down bob began anew", "up bob", "msg bob one", "msg bob two", "msg bob three", "msg bob four")
		bob.shows("up alice", "delivered 1", "delivered 2", "delivered 3", "delivered 4") // it was down already

		bob.becomes(alice, socket.ConditionDown)
		bob.becomes(alice, socket.ConditionUp)
		bob.becomes(alice, socket.ConditionUp)
		for _, e := range bob.got() { // the user may not have been told at all, but not of half
			if e != "up alice" && e != "down alice no answer" {
				bob.t.Errorf("bob sees %q", e)
			}
		}
		bob.becomes(alice, socket.ConditionDown)
		bob.shows("down alice no answer")
		alice.leave(alice.t.Context())
		bob.shows("down alice left")
	})
}

// TestDownInASessionBefore: an old session's condition says nothing of the current one's.
func TestDownInASessionBefore(t *testing.T) {
	inBubble(t, func(_ *testing.T, alice, bob *site) {
		bob.room.mu.Lock()
		m := bob.members[alice.end.LocalID()]
		bob.conditionOf(m, m.session-1, socket.ConditionDown, nil)
		bob.room.mu.Unlock()
		bob.shows()
	})
}

// TestFullOutboxWhileDown: nobody waits for room that only an end of the outage makes.
func TestFullOutboxWhileDown(t *testing.T) {
	inBubble(t, func(t *testing.T, alice, bob *site) {
		alice.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
		for range maxWaiting {
			bob.says("x")
		}
		more := make(chan error, 1)
		go func() { more <- bob.say("one more", nil) }()
		synctest.Wait()
		bob.becomes(alice, socket.ConditionDown)
		synctest.Wait()
		select {
		case <-more:
			got := bob.got() // in any order: one is told as the other is
			slices.Sort(got)
			want := []string{"down alice no answer", fmt.Sprintf("undelivered %d alice %d lines wait for it already", maxWaiting+1, maxWaiting)}
			if !slices.Equal(got, want) {
				t.Errorf("bob sees %q, not %q", got, want)
			}
		default:
			bob.t.Error("the line is still waited with")
			bob.becomes(alice, socket.ConditionUp)
			alice.end.Intercept(nil)
		}
	})
}

// TestStrangerBeginsAnew: lines for a stranger who begins anew wait until it is back, and
// no longer than returnWait.
func TestStrangerBeginsAnew(t *testing.T) {
	anew := &socket.PeerError{Code: socket.Superseded}
	for _, returns := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			alice, bob := newSite(t, 1, "alice"), newSite(t, 2, "bob")
			bob.knows("alice", alice, true)
			connect(alice, bob)
			id := bob.end.LocalID().Short()
			bob.shows("up alice")
			alice.shows("up " + id + ` "bob"`)
			bob.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
			alice.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Hold })
			alice.says("hello")
			alice.shows() // it is on its way
			dispatchtest.Disconnect(alice.end, bob.end, anew)
			alice.shows("down " + id + " it began anew")
			bob.got()
			bob.end.Intercept(nil)
			alice.end.Intercept(nil)
			if returns {
				connect(alice, bob)
				alice.shows("up "+id+` "bob"`, "delivered 1")
				bob.shows("up alice", "msg alice hello")
				return
			}
			alice.later(returnWait)
			alice.shows("undelivered 1 " + id + " it left")
			if n := len(alice.members); n != 0 {
				t.Errorf("%d members are remembered", n)
			}
		})
	}
}

// TestSessionRefusesLine: a session that is ending may refuse a line before its end is
// known. What the line failed with is then why the peer is gone, not that it left.
func TestSessionRefusesLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := newSite(t, 1, "alice"), newSite(t, 2, "bob")
		bob.knows("alice", alice, true)
		connect(alice, bob)
		id := bob.end.LocalID().Short()
		alice.shows("up " + id + ` "bob"`)
		alice.end.Intercept(func(dispatchtest.Block) dispatchtest.Action { return dispatchtest.Refuse })
		alice.says("hello")
		alice.shows("down "+id+" "+dispatchtest.ErrRefused.Error(), "undelivered 1 "+id+" it left")
	})
}

// later lets virtual time pass.
func (s *site) later(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
