// Package netwatch tells when the machine's network changes: an address or a default route appears, goes or
// becomes another (T10: detection of address changes).
//
// It is a hint that paths should be probed, never news about a particular path. Unrelated events are not
// reported: what counts is compared before and after. On Linux that is every address that can be used, of
// interfaces that are up and have a carrier, and how the machine would route to the public Internet, IPv4 and
// IPv6; a pulled cable is thus a change. Loopback and IPv6 link-local addresses do not count: they come
// and go with every container. Elsewhere, and where Linux forbids netlink (Android, some sandboxes), it is the
// addresses alone, read every 10 s.
package netwatch
