package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"parley/peer"
	"parley/peer/petname"
)

// options is the command line.
type options struct {
	home       string // empty: none, everything in memory
	listen     string
	nick       string
	friends    []friend
	secretFile string
	demo       bool
}

// friend is a peer named on the command line.
type friend struct {
	name    string
	id      peer.ID
	address string
}

const usage = `Chat with other keys, directly and encrypted.

usage: go run ./examples/chat [flags]

  -home DIR      where your key and petnames are kept, DIR/key and DIR/petnames, for
                 one chat at a time; on Windows nothing checks that
                 (default: parley-chat in your configuration directory)
  -listen HOST:PORT
                 the UDP address to receive at; an empty host is all of this
                 machine's, port 0 any free one (default: :0)
  -nick NAME     what you call yourself; others see it as your claim, in quotes
                 (default: your user name)
  -peer PETNAME=ID@HOST:PORT
                 a friend to connect to, and what you call them; repeatable. It is
                 stored in DIR/petnames and dialled from then on, until it answers
                 and again when it has left, after 1 s at first and 60 s at most
  -network-secret-file F
                 talk only to those who have the same secret: 16 bytes or more
  -demo          chat with a robot in the same process, over real sockets. Without
                 -home it leaves nothing behind
  -h             this help

Type a line and press return: it goes to everybody who is here and to the peers of
-peer. It waits for those who are cut off or not here yet, 10000 lines at most, and
is delivered when they can be reached, for up to 24 hours without a connection and
also if they restart. If there is nobody it waits for the peers of DIR/petnames that
have an address. Lines
have 4096 bytes at most. A line that begins with a slash is a command:

  /to PETNAME TEXT    say it to one peer only; a short id will do too
  /name PETNAME ID    call a peer so from now on; a short id will do, if it is here
  /who                list who is here, and whom you know
  /help               list the commands
  /quit               leave, when all lines are delivered or after 10 s
  //TEXT              say /TEXT

On a terminal there is a text interface. If standard input or output is none, or
TERM is dumb, events are printed one to a line:

  id ID                           your key, first of all
  listening udp HOST:PORT         then where you receive
  invite COMMAND                  then what a friend has to type
  up WHO                          a peer can be talked to, or again
  stalled WHO                     a line waits for it, and nothing is heard of it
  down WHO REASON                 it cannot be reached. If REASON is not "left",
                                  lines wait, and up follows when it is back
  msg WHO TEXT                    a peer's line
  delivered N                     all peers that your N-th line went to have shown
                                  it to their users
  undelivered N WHO REASON        one of them may not have got it
  unreachable WHO REASON          dialling failed; once for each new reason
  who WHO up|stalled|down ID ...  an answer to /who
  notice TEXT                     anything else
  sent TEXT                       a line of your own, in a demo only

WHO is a petname or, for a stranger, a short id; after up, what the stranger calls
itself follows in quotes, and a mark if that looks like one of your petnames. Only
lines that are sent are counted in N. The end of input is like /quit, with exit
status 1 if a line was not delivered.

An encrypted key (ssh-keygen -p -f DIR/key) asks for its passphrase on the
terminal, or takes it from PARLEY_PASSPHRASE; if that is set at first, the new key
is encrypted with it. NO_COLOR turns colours off.

Exit status: 0 after a graceful end, 1 if input ended and lines were not
delivered, 2 if the chat could not start, 130 after a second interrupt. With go run,
which adds a line such as "exit status 2", the shell sees 1 for all but 0.
`

// errHelp asks for the usage text.
var errHelp = errors.New("help wanted")

// parseOptions reads the command line. An error is one line that says what to do.
func parseOptions(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("chat", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.StringVar(&o.home, "home", "", "")
	fs.StringVar(&o.listen, "listen", "", "")
	fs.StringVar(&o.nick, "nick", "", "")
	fs.StringVar(&o.secretFile, "network-secret-file", "", "")
	fs.BoolVar(&o.demo, "demo", false, "")
	fs.Func("peer", "", func(s string) error {
		f, err := parseFriend(s)
		o.friends = append(o.friends, f)
		return err
	})
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return o, errHelp
	case err != nil:
		return o, fmt.Errorf("%s; -h lists the flags", oneLine(err))
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; everything is a flag, -h lists them", fs.Arg(0))
	}
	set := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) {
		set[f.Name] = true
		if f.Value.String() == "" && f.Name != "peer" && f.Name != "listen" {
			err = fmt.Errorf("-%s is empty; leave it out, or give it a value", f.Name)
		}
	})
	if err != nil {
		return o, err
	}
	return o, o.complete(set)
}

// complete checks what was set and fills in what was not.
func (o *options) complete(set map[string]bool) error {
	switch {
	case set["listen"]:
		if err := checkAddress(o.listen, 0); err != nil {
			return fmt.Errorf("-listen %w; for example 127.0.0.1:4242, or :0 for any free port", err)
		}
	case o.demo:
		o.listen = "127.0.0.1:0"
	default:
		o.listen = ":0"
	}
	if set["nick"] {
		if shown := petname.Suggest(o.nick); shown != o.nick {
			if shown == "" {
				shown = "friend"
			}
			return fmt.Errorf("-nick %q would not be shown as it is: it may have 1 to %d letters, digits and the like; try -nick %s", o.nick, petname.MaxSuggestion, shown)
		}
	} else {
		o.nick = defaultNick()
	}
	if o.home == "" && !o.demo {
		dir, err := os.UserConfigDir()
		if err != nil {
			return fmt.Errorf("there is no configuration directory (%w); say where to keep your key with -home DIR", err)
		}
		o.home = filepath.Join(dir, "parley-chat")
	}
	return nil
}

func defaultNick() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if _, after, domain := strings.Cut(name, `\`); domain {
		name = after
	}
	if name = petname.Suggest(name); name == "" {
		name = "friend"
	}
	return name
}

// parseFriend reads PETNAME=ID@HOST:PORT.
func parseFriend(s string) (friend, error) {
	name, rest, ok := strings.Cut(s, "=")
	text, address, ok2 := strings.Cut(rest, "@")
	if !ok || !ok2 {
		return friend{}, errors.New("it is not of the form PETNAME=ID@HOST:PORT")
	}
	if err := petname.Check(name); err != nil {
		return friend{}, err
	}
	id, err := peer.ParseID(text)
	if err != nil {
		return friend{}, fmt.Errorf("%w; ask your friend for the line again", err)
	}
	return friend{name, id, address}, checkAddress(address, 1)
}
