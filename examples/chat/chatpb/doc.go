// Package chatpb has the chat's messages, generated from chat.proto.
package chatpb
