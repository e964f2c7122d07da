package main

import (
	"fmt"
	"strings"

	"charm.land/bubbles/v2/textinput"
	"charm.land/bubbles/v2/viewport"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// screen is what a terminal shows: what was said, who is here, and the line being
// typed. It is a bubbletea model.
type screen struct {
	enter     func(line string) bool // false if it cannot be taken now
	interrupt func()

	history []item
	dropped int            // how many items the history has lost at its beginning
	sayings map[uint64]int // our undelivered lines: where in the history, dropped included
	here    []presence     // who is here, by arrival
	self    string
	leaving bool
	below   int // how many items came while the user looked further up

	width, height int
	view          viewport.Model
	input         textinput.Model
	looks         looks
}

// presence is somebody who is here, and how its connection is if that is not well.
type presence struct {
	who   who
	state string // empty, stalled or down
}

// item is an event in the history and how it looks.
type item struct {
	event event
	fate  fate
	lines []string // nil until it is laid out for the current width
}

// fate is what became of a line of ours.
type fate uint8

const (
	underway fate = iota
	reached
	lost
)

func newScreen(enter func(string) bool, interrupt func()) *screen {
	s := &screen{
		enter: enter, interrupt: interrupt, sayings: make(map[uint64]int),
		view: viewport.New(), input: textinput.New(), looks: newLooks(),
	}
	s.input.Prompt = "> "
	s.input.CharLimit = maxTyped
	s.input.KeyMap.Paste.SetEnabled(false) // it runs a clipboard program; the terminal's own paste works
	styles := s.input.Styles()
	styles.Cursor.Blink = false
	s.input.SetStyles(styles)
	s.input.Focus()
	return s
}

// Init implements tea.Model.
func (*screen) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case shown:
		s.add(msg.event)
		close(msg.done)
		return s, nil
	case refused:
		if s.input.Value() == "" { // else the user has gone on
			s.input.SetValue(msg.line)
			s.input.CursorEnd()
		}
		return s, nil
	case tea.WindowSizeMsg:
		s.resize(msg.Width, msg.Height)
		return s, nil
	case tea.KeyPressMsg:
		if cmd, taken := s.key(msg.String()); taken {
			return s, cmd
		}
	}
	var cmd tea.Cmd
	s.input, cmd = s.input.Update(msg)
	return s, cmd
}

// key does what a key that is not for the input line stands for.
func (s *screen) key(name string) (cmd tea.Cmd, taken bool) {
	switch name {
	case "ctrl+c", "esc":
		s.leaving = true
		s.interrupt()
	case "ctrl+z":
		return tea.Suspend, true
	case "enter":
		if text := s.input.Value(); strings.TrimSpace(text) != "" && s.enter(text) {
			s.input.Reset()
			s.toBottom()
		}
	case "pgup":
		s.view.PageUp()
	case "pgdown":
		s.view.PageDown()
		if s.view.AtBottom() {
			s.below = 0
		}
	case "shift+up":
		s.view.ScrollUp(1)
	case "shift+down":
		s.view.ScrollDown(1)
	case "ctrl+end":
		s.toBottom()
	case "ctrl+home":
		s.view.GotoTop()
	default:
		return nil, false
	}
	return nil, true
}

func (s *screen) toBottom() {
	s.view.GotoBottom()
	s.below = 0
}

// add puts an event on the screen.
func (s *screen) add(e event) {
	switch e := e.(type) {
	case started:
		s.self = e.id.Short()
	case arrived:
		s.gone(e.who)
		s.here = append(s.here, presence{who: e.who})
	case departed:
		s.gone(e.who)
		if !e.news() {
			return
		}
	case stalled: // an early warning, and often nothing follows: only the status line has it
		s.is(e.who, stateStalled)
		return
	case cutOff:
		s.is(e.who, stateDown)
	case resumed:
		if s.is(e.who, "") == stateStalled {
			return
		}
	case renamed:
		for i, p := range s.here {
			if p.who.id == e.who.id {
				s.here[i].who = e.who
			}
		}
	case said:
		s.sayings[e.number] = s.dropped + len(s.history)
	case delivered:
		s.mark(e.number, reached)
		return
	case undelivered:
		s.mark(e.number, lost)
	default: // it only goes into the history
	}
	s.history = append(s.history, item{event: e})
	if n := len(s.history) - maxHistory; n > 0 {
		clear(s.history[:n])
		s.history = s.history[n:]
		s.dropped += n
	}
	if !s.view.AtBottom() {
		s.below++
	}
	s.layOut()
}

func (s *screen) gone(w who) {
	for i := range s.here {
		if s.here[i].who.id == w.id {
			s.here = append(s.here[:i:i], s.here[i+1:]...)
			return
		}
	}
}

// is notes how somebody's connection is, and returns how it was.
func (s *screen) is(w who, state string) (before string) {
	for i := range s.here {
		if p := &s.here[i]; p.who.id == w.id {
			before, p.state = p.state, state
		}
	}
	return before
}

// mark notes what became of a line of ours.
func (s *screen) mark(number uint64, f fate) {
	at, known := s.sayings[number]
	if !known {
		return
	}
	delete(s.sayings, number)
	if at -= s.dropped; at >= 0 {
		s.history[at].fate = f
		s.history[at].lines = nil
		s.layOut()
	}
}

// resize lays everything out anew.
func (s *screen) resize(width, height int) {
	bottom := s.view.AtBottom() // a lower view no longer is
	if width != s.width {
		for i := range s.history {
			s.history[i].lines = nil
		}
	}
	s.width, s.height = width, height
	s.view.SetWidth(width)
	s.view.SetHeight(max(0, height-2)) // a status line and an input line
	s.input.SetWidth(max(1, width-lipgloss.Width(s.input.Prompt)-1))
	s.layOut()
	if bottom {
		s.toBottom()
	}
}

// layOut breaks the history into lines. Who looks at the newest goes on to.
func (s *screen) layOut() {
	if s.width <= 0 {
		return
	}
	bottom := s.view.AtBottom()
	lines := make([]string, 0, len(s.history))
	for i := range s.history {
		e := &s.history[i]
		if e.lines == nil {
			e.lines = wrapped(s.looks.of(e.event, e.fate), s.width)
		}
		lines = append(lines, e.lines...)
	}
	s.view.SetContentLines(lines)
	if bottom {
		s.view.GotoBottom()
	}
}

// View implements tea.Model.
func (s *screen) View() tea.View {
	var parts []string
	if h := s.view.Height(); h > 0 {
		parts = append(parts, s.view.View())
	}
	if s.height > 1 {
		parts = append(parts, s.status())
	}
	v := tea.NewView(strings.Join(append(parts, lipgloss.NewStyle().MaxWidth(s.width).Render(s.input.View())), "\n"))
	v.AltScreen = true
	v.WindowTitle = "chat " + s.self
	return v
}

// status is the line that says who we are and who is here.
func (s *screen) status() string {
	names := make([]string, 0, len(s.here))
	for _, p := range s.here {
		name := p.who.full()
		if p.state != "" {
			name += " [" + p.state + "]"
		}
		names = append(names, name)
	}
	text := " " + s.self + " · "
	switch {
	case s.leaving:
		text += "leaving; once more leaves at once"
	case len(names) == 0:
		text += "nobody is here"
	default:
		text += "with " + strings.Join(names, ", ")
	}
	if s.below > 0 {
		text = fmt.Sprintf(" ↓ %d more ·", s.below) + text
	}
	return s.looks.status(text, s.width)
}
