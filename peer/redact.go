package peer

import (
	"fmt"
	"io"
	"log/slog"
)

// redactedText is what a secret prints as, whoever asks and however.
const redactedText = "redacted"

// redacted is embedded in every type that holds a secret, so that all of fmt's
// verbs, encoding/json, text encodings and log/slog show redactedText (threat T27).
//
// That alone is not enough: fmt walks the unexported fields of a caller's struct
// by reflection without calling methods, and so it does for a verb such as %w
// that does not fit. The types therefore also keep the secret bytes behind a
// closure, of which reflection can show no more than an address.
type redacted struct{}

// Format implements [fmt.Formatter] for every verb and flag.
func (redacted) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedText) }

// String returns "redacted".
func (redacted) String() string { return redactedText }

// GoString returns "redacted".
func (redacted) GoString() string { return redactedText }

// MarshalText returns "redacted": no encoder, encoding/json included, writes a secret.
func (redacted) MarshalText() ([]byte, error) { return []byte(redactedText), nil }

// LogValue implements [slog.LogValuer].
func (redacted) LogValue() slog.Value { return slog.StringValue(redactedText) }
