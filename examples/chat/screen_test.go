package main

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"parley/dispatch/dispatchtest"
)

// sketch is a screen without a terminal.
type sketch struct {
	*screen
	t           *testing.T
	entered     []string
	interrupted int
}

func newSketch(t *testing.T, width, height int) *sketch {
	t.Helper()
	k := &sketch{t: t}
	k.screen = newScreen(func(l string) bool { k.entered = append(k.entered, l); return true }, func() { k.interrupted++ })
	k.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return k
}

func (k *sketch) sees(events ...event) {
	for _, e := range events {
		done := make(chan struct{})
		k.Update(shown{e, done})
		<-done // it says that it has shown the event
	}
}

func (k *sketch) presses(keys ...tea.KeyPressMsg) {
	for _, key := range keys {
		k.Update(key)
	}
}

func (k *sketch) types(text string) {
	for _, r := range text {
		k.presses(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	k.presses(tea.KeyPressMsg{Code: tea.KeyEnter})
}

// rows is what is on the screen, checked to fit on it.
func (k *sketch) rows() []string {
	k.t.Helper()
	rows := strings.Split(k.View().Content, "\n")
	if len(rows) > max(1, k.height) {
		k.t.Errorf("%d rows on a screen of %d", len(rows), k.height)
	}
	for i, row := range rows {
		if w := lipgloss.Width(row); w > k.width {
			k.t.Errorf("row %d is %d cells wide on a screen of %d: %q", i, w, k.width, row)
		}
		rows[i] = strings.TrimRight(plainOf(row), " ")
	}
	return rows
}

// plainOf drops the escape sequences of styles.
func plainOf(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		_, s, _ = strings.Cut(after, "m")
	}
}

func (k *sketch) has(text string) bool { return strings.Contains(strings.Join(k.rows(), "\n"), text) }

var (
	testBob      = who{id: dispatchtest.ID(1), petname: "bob", short: "abcdefgh"}
	testStranger = who{id: dispatchtest.ID(2), short: "7moho6j5", nick: "b0b", mark: "looks like bob"}
)

func TestScreen(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {40, 10}, {200, 60}, {10, 3}, {1, 1}, {5, 2}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			k := newSketch(t, size[0], size[1])
			k.sees(
				started{dispatchtest.ID(3), "127.0.0.1:1", "go run ./examples/chat -peer x=" + dispatchtest.ID(3).String() + "@127.0.0.1:1"},
				arrived{testBob}, arrived{testStranger},
				message{testBob, "かなとカナ 한국어 👩‍🚀 🎉 " + strings.Repeat("long", 60)},
				said{1, "", "hello"}, said{2, "bob", "psst"}, delivered{1}, undelivered{2, testBob, "it left"},
				unreachable{testBob, "no answer"}, renamed{testBob, "robert"}, listed{testBob, stateUp, 3, "h:1"},
				notice{"something"}, departed{testBob, "left", false}, stalled{testBob}, cutOff{testBob, "no answer"}, resumed{testBob},
			)
			k.rows()
			k.types("typed")
			k.rows()
			if len(k.entered) != 1 || k.entered[0] != "typed" {
				t.Errorf("entered %q", k.entered)
			}
			k.Update(tea.WindowSizeMsg{Width: size[0] + 7, Height: size[1] + 3})
			k.rows()
		})
	}
}

func TestScreenShows(t *testing.T) {
	k := newSketch(t, 80, 24)
	k.sees(arrived{testBob}, arrived{testStranger}, message{testStranger, "hi"}, said{1, "", "hello"})
	for _, want := range []string{
		"→ bob is here", `7moho6j5 "b0b" (looks like bob): hi`, "you: hello …", ` with bob, 7moho6j5 "b0b" (looks like bob)`,
	} {
		if !k.has(want) {
			t.Errorf("no %q in\n%s", want, strings.Join(k.rows(), "\n"))
		}
	}
	k.sees(delivered{1}, departed{testBob, "no answer", false}, said{2, "bob", "psst"}, undelivered{2, testBob, "it left"})
	for _, want := range []string{"you: hello ✓", "← bob is gone: no answer", "you to bob: psst ×", "× not delivered to bob: it left", ` with 7moho6j5`} {
		if !k.has(want) {
			t.Errorf("no %q in\n%s", want, strings.Join(k.rows(), "\n"))
		}
	}
	named := testStranger
	named.petname = "mallory"
	k.sees(renamed{named, ""})
	if !k.has(" with mallory") {
		t.Errorf("the status does not know the new name:\n%s", strings.Join(k.rows(), "\n"))
	}
}

// TestNobodySpeaksForOthers: whatever a peer writes, and however wide the screen is,
// it does not begin a line as another peer's message does.
func TestNobodySpeaksForOthers(t *testing.T) {
	for width := 20; width < 60; width++ {
		k := newSketch(t, width, 20)
		k.sees(message{testStranger, strings.Repeat("x ", 40) + strings.Repeat("bob: pay me ", 20)})
		for _, row := range k.rows() {
			if strings.HasPrefix(row, "bob:") {
				t.Fatalf("at %d columns there is %q", width, row)
			}
		}
	}
}

// TestScrollback: who looks back is not torn away, and is told that there is more.
func TestScrollback(t *testing.T) {
	k := newSketch(t, 40, 10)
	for i := range 100 {
		k.sees(message{testBob, fmt.Sprint("line ", i)})
	}
	if !k.has("line 99") || k.has("line 91\n") {
		t.Errorf("not at the bottom:\n%s", strings.Join(k.rows(), "\n"))
	}
	k.presses(tea.KeyPressMsg{Code: tea.KeyPgUp})
	k.sees(message{testBob, "news"})
	if !k.has("line 91") || k.has("news") || !k.has("↓ 1 more") {
		t.Errorf("torn away:\n%s", strings.Join(k.rows(), "\n"))
	}
	k.presses(tea.KeyPressMsg{Code: tea.KeyPgDown}, tea.KeyPressMsg{Code: tea.KeyPgDown})
	if !k.has("news") || k.has("more") {
		t.Errorf("not back:\n%s", strings.Join(k.rows(), "\n"))
	}
	k.presses(tea.KeyPressMsg{Code: tea.KeyPgUp})
	k.types("mine")
	k.sees(said{1, "", "mine"})
	if !k.has("you: mine") {
		t.Error("what is entered is not in sight")
	}
}

func TestHistoryIsBounded(t *testing.T) {
	k := newSketch(t, 40, 10)
	k.sees(said{1, "", "early"})
	for range maxHistory + 10 {
		k.sees(message{testBob, "x"})
	}
	k.sees(said{2, "", "late"}, delivered{1}, delivered{2})
	if len(k.history) != maxHistory || len(k.sayings) != 0 {
		t.Errorf("%d events, %d lines under way", len(k.history), len(k.sayings))
	}
	if !k.has("you: late ✓") {
		t.Error("the mark is elsewhere")
	}
}

func TestLeavingTheScreen(t *testing.T) {
	k := newSketch(t, 60, 10)
	k.presses(tea.KeyPressMsg{Code: tea.KeyEscape}, tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl})
	if k.interrupted != 2 || !k.has("leaving") {
		t.Errorf("interrupted %d times:\n%s", k.interrupted, strings.Join(k.rows(), "\n"))
	}
}

// TestLongPaste: a text that is too long for a line is not cut, and one that is not
// taken comes back to be corrected.
func TestLongPaste(t *testing.T) {
	k := newSketch(t, 60, 10)
	text := strings.Repeat("long ", maxLine)
	k.Update(tea.PasteMsg{Content: text})
	k.presses(tea.KeyPressMsg{Code: tea.KeyEnter})
	if len(k.entered) != 1 || k.entered[0] != text {
		t.Fatalf("entered %d lines, not the whole text", len(k.entered))
	}
	k.Update(refused{text})
	if k.input.Value() != text {
		t.Errorf("the input line has %d characters, not the %d that were refused", len(k.input.Value()), len(text))
	}
	k.rows()
	k.Update(refused{"older"})
	if k.input.Value() != text {
		t.Error("a refused line replaces what was typed after it")
	}
}

// TestBusyScreen: a line that cannot be taken now stays where it is.
func TestBusyScreen(t *testing.T) {
	k := newSketch(t, 60, 10)
	k.enter = func(string) bool { return false }
	k.types("patience")
	if k.input.Value() != "patience" {
		t.Errorf("the input line is %q", k.input.Value())
	}
}

// Who looks at the newest line goes on to when the terminal shrinks.
func TestShrinkKeepsTheNewestInSight(t *testing.T) {
	k := newSketch(t, 80, 20)
	for i := range 15 {
		k.sees(notice{text: fmt.Sprint("line ", i)})
	}
	k.Update(tea.WindowSizeMsg{Width: 40, Height: 8})
	if !k.has("line 14") {
		t.Errorf("the newest line is out of sight:\n%s", strings.Join(k.rows(), "\n"))
	}
}

// TestScreenShowsConnections: who is cut off is marked in the status line, and told once.
func TestScreenShowsConnections(t *testing.T) {
	k := newSketch(t, 80, 12)
	k.sees(arrived{testBob}, arrived{testStranger}, stalled{testBob})
	k.shows("with bob [stalled], 7moho6j5", "")
	k.sees(resumed{testBob})
	k.shows("with bob, 7moho6j5", "")
	k.sees(stalled{testBob}, cutOff{testBob, "no answer"}, said{1, "", "hello"})
	k.shows("with bob [down], 7moho6j5", "bob is cut off (no answer)", "you: hello …")
	k.sees(resumed{testBob}, delivered{1})
	k.shows("with bob, 7moho6j5", "→ bob is back", "you: hello ✓")
	k.sees(cutOff{testBob, "no answer"}, departed{testBob, "it began anew", true})
	if k.has("began anew") || k.has("with bob") {
		t.Errorf("one who was cut off departs again:\n%s", strings.Join(k.rows(), "\n"))
	}
}

func (k *sketch) shows(texts ...string) {
	k.t.Helper()
	for _, text := range texts {
		if !k.has(text) {
			k.t.Errorf("no %q on the screen:\n%s", text, strings.Join(k.rows(), "\n"))
		}
	}
}
