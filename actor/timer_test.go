package actor

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, Config{})
		got := make(chan any, 10)
		r := spawn(t, s, Func(func(c *Context, msg any) {
			switch m := msg.(type) {
			case do:
				m(c)
			default:
				got <- m
			}
		}), Options{MaxMailbox: 1})
		var stopped, late *Timer
		r.Tell(do(func(c *Context) {
			c.After(2*time.Second, "second")
			c.After(time.Second, "first")
			stopped = c.After(time.Second, "stopped")
			late = c.After(5*time.Second, "late")
			if !stopped.Stop() || stopped.Stop() {
				t.Error("Stop of a running timer, twice: want true, false")
			}
		}))
		begun := time.Now()
		if m := <-got; m != "first" || time.Since(begun) != time.Second {
			t.Errorf("%v after %v", m, time.Since(begun))
		}
		if m := <-got; m != "second" || time.Since(begun) != 2*time.Second {
			t.Errorf("%v after %v", m, time.Since(begun))
		}
		r.Tell(do(func(*Context) {
			<-time.After(10 * time.Second) // late has fired and waits behind this
			if !late.Stop() {
				t.Error("Stop of a fired timer whose message waits = false")
			}
		}))
		<-time.After(time.Minute)
		var dead *Timer
		r.Tell(do(func(c *Context) { dead = c.After(time.Hour, "dead"); c.Stop(nil) }))
		synctest.Wait()
		if dead.timer.Stop() {
			t.Error("the timer of an ended process was still running")
		}
		if len(got) != 0 {
			t.Errorf("got %v", <-got)
		}
		if st := s.Stats(); st.Dropped != 0 || st.Refused != 0 || st.Live != 0 {
			t.Errorf("%+v", st)
		}
	})
}
