// Package rpcpb holds the messages of the example: rpc.proto and the Go code
// generated from it.
package rpcpb
