//go:build race

package socket

// outliveSeeds is how many seeds TestStreamsOutliveConnections tries; the race detector makes them ten times as slow.
const outliveSeeds = 1
