package main

import (
	"errors"
	"strings"
	"testing"
	"unicode"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain text": "plain text",
		"Grüße, にほん, שלום, 👩‍🚀": "Grüße, にほん, שלום, 👩‍🚀",
		"\x1b]0;title\x07":      "␛]0;title␇",
		"a\tb\nc\rd\x00e\x7f":   "a b␊c␍d␀e␡",
		"\u009b31m":             "�31m",
		"safe\u202egpj.exe":     "safe�gpj.exe",
		"a\u2028b\u2029c":       "a�b�c",
		"\u2066x\u2069":         "�x�",
		"\xff":                  "�",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q becomes %q, not %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("hello")
	f.Add("\x1b[31m\r\n\u202e\u009b\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q becomes %q", s, got)
		}
		if clean(got) != got {
			t.Errorf("%q is cleaned once more", got)
		}
	})
}

func TestOneLine(t *testing.T) {
	if got := oneLine(errors.Join(errors.New("one"), errors.New("two\x1b"))); got != "one; two␛" {
		t.Errorf("got %q", got)
	}
}
