// Package simnet is an IP network in memory: hosts, links with delay, jitter, loss, duplication,
// reordering, corruption and rate, black holes, moving hosts and NAT boxes, behind ordinary
// net.PacketConns (X7). [Net.Faults] and [Net.Play] make and carry out random schedules of such faults.
// Where nothing is to go wrong and time is real, package socket/memory is faster.
//
// # Virtual time
//
// Every wait is a runtime timer, so a network made inside a testing/synctest bubble runs in virtual
// time: hours pass in milliseconds, and no test sleeps. The random choices come from one seeded
// generator; with one processor and a seeded crypto/rand a run repeats packet for packet, but not under the
// race detector, which shuffles the scheduler. Packets due at the same instant arrive in any order:
// give lines a delay, and jitter if order is not to matter.
//
// quic-go runs in a bubble (TestQUICInVirtualTime here), and so does protoactor (TestTimers and others of
// package actor). What that needs:
//
//   - A bubble ends only when its goroutines do: close every connection before leaving it. What runs
//     quic-go is closed from the top: connections, listener, quic.Transport, then the Conn below it. A
//     transport left open keeps closed connections for some round trips; then let virtual minutes pass.
//   - Everything is made inside the bubble: a channel, a timer or an actor system from outside it
//     would block the bubble without letting its time pass.
//   - Waiting for a mutex does not let time pass: hold none across a wait that only time ends.
//   - Virtual time begins in the year 2000: certificates made outside are not valid yet.
//
// A network and its connections may be used by any number of goroutines.
package simnet
