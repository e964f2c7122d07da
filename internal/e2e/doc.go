// Package e2e tests the layers together: conversations of package dispatch over sessions of package socket over a
// network that fails. It holds nothing but tests.
package e2e
