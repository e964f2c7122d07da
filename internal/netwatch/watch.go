package netwatch

import (
	"context"
	"net"
	"slices"
	"time"
)

const (
	// settle is how long a burst of events gathers before it is looked at: a new lease is an address removed, one
	// added and several routes.
	settle = 200 * time.Millisecond
	// pollEvery is how often addresses are read where the system does not say when they change.
	pollEvery = 10 * time.Second
)

// Watch calls changed after each change of the machine's network since Watch returned; changes within 200 ms are
// one call, or none if they cancel out. changed is called from one goroutine at a time and should not block
// for long; meanwhile changes gather, and none is lost. The goroutine ends with ctx: done is closed after the last
// call has returned. The error, with which done is nil, says that this system shows no addresses at all.
func Watch(ctx context.Context, changed func()) (done <-chan struct{}, err error) {
	run, err := watchSystem(ctx, changed)
	if err != nil {
		if run, err = poller(ctx, interfaceAddrs, changed); err != nil {
			return nil, err
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run()
	}()
	return ended, nil
}

// A state is what counts of the network, as sorted lines to be compared.
type state []string

// poller makes the first reading; run makes those after it until ctx ends.
func poller(ctx context.Context, read func() (state, error), changed func()) (run func(), err error) {
	old, err := read()
	if err != nil {
		return nil, err
	}
	return func() {
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now, err := read()
			if err != nil || slices.Equal(old, now) || ctx.Err() != nil {
				continue // after an error the next reading tells
			}
			old = now
			changed()
		}
	}, nil
}

func interfaceAddrs() (state, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var s state
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && (n.IP.IsLoopback() || n.IP.To4() == nil && n.IP.IsLinkLocalUnicast()) {
			continue
		}
		s = append(s, a.String())
	}
	slices.Sort(s)
	return s, nil
}
