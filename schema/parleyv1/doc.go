// Package parleyv1 is the generated Go code of the protobuf package parley.v1:
// the envelope of a block, the status that ends an exchange, and the control
// frames of a session. Its sources are schema/parley/v1/*.proto.
//
// Programs rarely need it: package wire reads and writes these messages.
package parleyv1
