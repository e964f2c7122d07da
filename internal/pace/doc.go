// Package pace holds traffic to rates (B13): byte limits in a tree, such as host,
// peer and transfer, and the even release of messages to many recipients.
//
// # Limits
//
// A [Limiter] is a token bucket. Bytes pass through a limiter and all its
// parents, and wait until none of them is overdrawn. A request is never split:
// it passes as soon as the buckets are not in debt, whatever its size, and what
// it overdraws the next ones wait for. So nothing depends on a request being
// smaller than a burst, and the average is exact all the same.
//
// Where several children of one limiter wait, the tokens are shared among them
// equally, counted in bytes (start-time fair queueing: Goyal, Vin, Cheng, 1996):
// a peer with a hundred transfers gets as much as a peer with one. What waits on
// one limiter directly is served in order of arrival. No tokens are held back for
// a child that is about to ask again: where a timer's lateness, a millisecond or
// so, is worth several of its requests, those who have more waiting get more.
//
// # Classes
//
// Interactive traffic goes before bulk at every limiter, and is not held up by
// what bulk has overdrawn: each bucket keeps a second balance that only
// interactive traffic draws on. Bulk pays for both. Interactive traffic that
// alone fills a limit leaves bulk nothing.
//
// # Cost
//
// There are no goroutines; a limiter that somebody waits for has one timer. A
// tree has one lock, which is taken only where a limit applies.
package pace
