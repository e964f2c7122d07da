//go:build !race

package socket

const outliveSeeds = 4
