package main

import (
	"fmt"
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
)

// looks says how things look on a terminal. Colours are of the terminal's palette,
// which its user has chosen.
type looks struct {
	own, quiet, warning, bar lipgloss.Style
	peers                    []lipgloss.Style
}

func newLooks() looks {
	l := looks{
		own:     lipgloss.NewStyle().Bold(true),
		quiet:   lipgloss.NewStyle().Faint(true),
		warning: lipgloss.NewStyle().Foreground(lipgloss.Red),
		bar:     lipgloss.NewStyle().Reverse(true),
	}
	for _, c := range []color.Color{
		lipgloss.Green, lipgloss.Yellow, lipgloss.Blue, lipgloss.Magenta, lipgloss.Cyan,
		lipgloss.BrightGreen, lipgloss.BrightYellow, lipgloss.BrightBlue, lipgloss.BrightMagenta, lipgloss.BrightCyan,
	} {
		l.peers = append(l.peers, lipgloss.NewStyle().Bold(true).Foreground(c))
	}
	return l
}

// name is a peer in its colour: the same each time, and likely not another's.
func (l *looks) name(w who) string {
	return l.peers[int(w.id[0])%len(l.peers)].Render(w.full())
}

// of is an event as text, one line before it is wrapped.
func (l *looks) of(e event, f fate) string {
	switch e := e.(type) {
	case started:
		you := l.quiet.Render("You are "+e.id.String()+", receiving at "+e.addr+".") + "\n"
		if e.invite == "" {
			return you + "Type a line and press return. Escape leaves."
		}
		return you + l.quiet.Render("A friend connects to you with") + "\n" + e.invite + "\n" +
			l.quiet.Render("To copy that, suspend with Ctrl-Z: it is printed below this screen too; fg comes back.")
	case arrived:
		return l.quiet.Render("→ ") + l.name(e.who) + l.quiet.Render(" is here")
	case departed:
		if e.reason == reasonLeft {
			return l.quiet.Render("← ") + l.name(e.who) + l.quiet.Render(" has left")
		}
		return l.quiet.Render("← ") + l.name(e.who) + l.quiet.Render(" is gone: "+e.reason)
	case cutOff:
		return l.quiet.Render("… ") + l.name(e.who) + l.quiet.Render(" is cut off ("+e.reason+"); what you say waits for it")
	case resumed:
		return l.quiet.Render("→ ") + l.name(e.who) + l.quiet.Render(" is back")
	case message:
		return l.name(e.who) + ": " + e.text
	case said:
		to := ""
		if e.to != "" {
			to = l.quiet.Render(" to " + e.to)
		}
		return l.own.Render("you") + to + ": " + clean(e.text) + " " + l.fate(f)
	case undelivered:
		return l.warning.Render(fmt.Sprintf("× not delivered to %s: %s", e.who.full(), e.reason))
	case unreachable:
		return l.warning.Render("× cannot reach ") + l.name(e.who) + l.warning.Render(": "+e.reason)
	case listed:
		return l.quiet.Render("· " + listing(e))
	default:
		return l.quiet.Render("· " + strings.TrimPrefix(plainText(e), "notice "))
	}
}

// indent is where an event goes on that does not fit in one line. Without it a peer
// could write lines that look as if somebody else had.
const indent = "  "

// wrapped breaks a text into lines of at most width cells.
func wrapped(text string, width int) []string {
	margin := indent
	if width < 4*len(indent) {
		margin = "" // so narrow that nobody can tell anyway
	}
	lines := strings.Split(lipgloss.Wrap(text, width-len(margin), ""), "\n")
	for i := range lines[1:] {
		lines[i+1] = margin + lines[i+1]
	}
	return lines
}

// fate is the mark behind a line of ours.
func (l *looks) fate(f fate) string {
	switch f {
	case reached:
		return l.quiet.Render("✓")
	case lost:
		return l.warning.Render("×")
	}
	return l.quiet.Render("…")
}

// status is a bar as wide as the screen.
func (l *looks) status(text string, width int) string {
	return l.bar.Width(width).MaxHeight(1).Render(truncate(text, width))
}

// truncate cuts a text to a width in cells, with an ellipsis where it was cut.
func truncate(text string, width int) string {
	if lipgloss.Width(text) <= width {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && lipgloss.Width(string(runes))+1 > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}
