// Package parleyv1 is the generated Go code of the protobuf package parley.v1:
// the envelope of a block, the status that ends an exchange, the control frames
// of a session, and the entries of a list of services. Its sources are schema/parley/v1/*.proto.
//
// Programs rarely need it: package wire reads and writes these messages.
package parleyv1
