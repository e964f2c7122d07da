package socket

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"parley/peer"
	"parley/wire"
)

// Service is what a host offers to those who dial it (B10): an application, and the protocol that is spoken
// with it. One application may speak several.
type Service struct {
	Name, Protocol string // 1 to 128 bytes of UTF-8 each; the name "parley" is this package's
	Description    string // for people: at most 256 bytes of UTF-8. A peer's is untrusted
}

func (s Service) String() string { return fmt.Sprintf("%q (%q)", s.Name, s.Protocol) }

// ServiceRules say who may use a service and who learns of it.
type ServiceRules struct {
	// Admit, if set, decides which peers may open streams to the service, of those that Config.Admit lets have
	// a session. An error refuses: the peer is told Refused and nothing more. Called concurrently; it must not
	// block.
	Admit func(peer.ID) error
	// Listed has Session.Services of the peers that may use the service name it. Otherwise a peer has to know
	// the names.
	Listed bool
}

// Bounds on what a host offers.
const (
	// maxServices is how many services a host offers: as many as a list may have.
	maxServices = wire.MaxServices
	// maxServiceQueue is how many streams may wait for a Listener, of all peers; maxServiceShare of one peer.
	maxServiceQueue = 128
	maxServiceShare = 32
)

// The service that tells of the others.
const (
	ownServices  = "parley"
	listProtocol = "services/1"
)

var (
	errOffered  = errors.New("it is offered already")
	errReserved = errors.New("the name is reserved")
)

// services are what a host offers. Safe for concurrent use.
type services struct {
	mu     sync.Mutex
	offers map[serviceKey]*Listener
	asking map[*Session]int // lists that are being given
}

type serviceKey struct{ name, protocol string }

// Offer begins to accept streams that peers open to a service (B10), for the Listener that it returns, until
// that is closed. The description is for Services.
//
// The error is an *Error: Refused if the names cannot be used or are offered already, Limit beyond 1,024
// services, Closed if the host is.
func (h *Host) Offer(service Service, rules ServiceRules) (*Listener, error) {
	fail := func(code Code, err error) error {
		return &Error{Code: code, Op: "offer " + service.String(), Err: err}
	}
	if err := service.check(); err != nil {
		return nil, fail(Refused, err)
	}
	if service.Name == ownServices {
		return nil, fail(Refused, errReserved)
	}
	l := &Listener{host: h, service: service, rules: rules}
	v := &h.services
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case h.life.Err() != nil:
		return nil, fail(Closed, errHostClosed)
	case v.offers[service.key()] != nil:
		return nil, fail(Refused, errOffered)
	case len(v.offers) >= maxServices:
		return nil, fail(Limit, fmt.Errorf("%d services are offered", maxServices))
	case v.offers == nil:
		v.offers = make(map[serviceKey]*Listener)
	}
	v.offers[service.key()] = l
	return l, nil
}

// Services yields what the host offers now, those that are not listed included, in the order of their names and
// then of their protocols (B10).
func (h *Host) Services() iter.Seq[Service] {
	var all []Service
	for _, l := range h.services.sorted() {
		all = append(all, l.service)
	}
	return slices.Values(all)
}

// sorted returns the listeners that are open.
func (v *services) sorted() []*Listener {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.SortedFunc(maps.Values(v.offers), func(a, b *Listener) int {
		return cmp.Or(cmp.Compare(a.service.Name, b.service.Name), cmp.Compare(a.service.Protocol, b.service.Protocol))
	})
}

// offered returns who takes streams to a service, nil if nobody does.
func (v *services) offered(key serviceKey) *Listener {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.offers[key]
}

// withdraw ends an offer. It reports whether that is news.
func (v *services) withdraw(l *Listener) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.offers[l.service.key()] != l {
		return false
	}
	delete(v.offers, l.service.key())
	return true
}

func (s Service) key() serviceKey { return serviceKey{s.Name, s.Protocol} }

// check returns why the names or the description cannot be used, nil if they can.
func (s Service) check() error {
	_, err := wire.AppendService(nil, s.entry())
	return err
}

func (s Service) entry() *wire.Service {
	return &wire.Service{Name: s.Name, Protocol: s.Protocol, Description: s.Description}
}

// service takes a stream of the peer's to the service that it names.
func (e sessionEnv) service(x *Stream) resetCode {
	v := &e.host.services
	key := serviceKey{x.head.Service, x.head.Protocol}
	if key == (serviceKey{ownServices, listProtocol}) {
		return v.tell(e.Session, x)
	}
	l := v.offered(key)
	switch {
	case l == nil:
		return resetNotFound
	case !l.admits(e.peer):
		return resetRefused
	}
	return l.offer(x)
}
