//go:build !linux

package netwatch

import (
	"context"
	"errors"
)

func watchSystem(context.Context, func()) (run func(), err error) {
	return nil, errors.ErrUnsupported
}
