package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// warnings is a slog.Handler that makes one readable line of a warning or error and
// forgets the rest. The lines go to standard error, or into the interface once that
// has the screen.
type warnings struct {
	level slog.Level
	to    *lineSink
	attrs []slog.Attr
}

// lineSink takes lines; where to may change.
type lineSink struct {
	mu   sync.Mutex
	emit func(line string)
}

func (s *lineSink) set(emit func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emit = emit
}

func (s *lineSink) write(line string) {
	s.mu.Lock()
	emit := s.emit
	s.mu.Unlock()
	emit(line)
}

// Enabled implements slog.Handler.
func (w warnings) Enabled(_ context.Context, l slog.Level) bool { return l >= w.level }

// Handle implements slog.Handler.
func (w warnings) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(strings.ToLower(r.Level.String()) + ": " + r.Message)
	add := func(a slog.Attr) bool {
		b.WriteString(" (" + a.Key + ": " + a.Value.Resolve().String() + ")")
		return true
	}
	for _, a := range w.attrs {
		add(a)
	}
	r.Attrs(add)
	w.to.write(clean(strings.ReplaceAll(b.String(), "\n", "; ")))
	return nil
}

// WithAttrs implements slog.Handler.
func (w warnings) WithAttrs(a []slog.Attr) slog.Handler {
	w.attrs = append(slices.Clip(w.attrs), a...)
	return w
}

// WithGroup implements slog.Handler; the lines are too short for groups.
func (w warnings) WithGroup(string) slog.Handler { return w }
