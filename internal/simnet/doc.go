// Package simnet is an IP network in memory: hosts, links with delay, jitter, loss, duplication,
// reordering, corruption and rate, and NAT boxes, behind ordinary net.PacketConns (X7).
//
// Every wait is a runtime timer, so a network made inside a testing/synctest bubble runs in virtual
// time: hours pass in milliseconds, and no test sleeps. The random choices come from one seeded
// generator; with one processor and a seeded crypto/rand a run repeats packet for packet.
//
// A network and its connections may be used by any number of goroutines. A bubble ends only when its
// goroutines do: close every connection before leaving it.
package simnet
