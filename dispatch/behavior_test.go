package dispatch_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/dispatch"
)

func TestBehaviors(t *testing.T) { // D9
	line := dispatch.On((*talk).line)
	for what, cases := range map[string][]dispatch.Case[*talk]{
		"two cases for a type": {line, line},
		"two ends":             {dispatch.OnEnd((*talk).end), dispatch.OnEnd((*talk).end)},
		"two child ends":       {dispatch.OnChildEnd((*talk).childEnd), dispatch.OnChildEnd((*talk).childEnd)},
		"no function":          {dispatch.On[*talk, text](nil)},
		"no request function":  {dispatch.OnRequest[*talk, text, number](nil)},
		"no end function":      {dispatch.OnEnd[*talk](nil)},
		"an empty case":        {{}},
		"no concrete message":  {dispatch.On(func(*talk, *dispatch.Conversation, proto.Message) error { return nil })},
		"no concrete reply":    {dispatch.OnRequest(func(*talk, *dispatch.Conversation, text) (proto.Message, error) { return nil, nil })},
	} {
		if _, err := dispatch.NewBehavior(cases...); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	a, _ := pair(t)
	begin := func(*dispatch.Conversation, text) (*talk, error) { return nil, nil }
	must(t, dispatch.Converse(a.Dispatcher, begin, behavior(t)))
	var taken *dispatch.RegistrationError
	if err := dispatch.Converse(a.Dispatcher, begin, behavior(t)); !errors.As(err, &taken) {
		t.Errorf("twice: %v", err)
	}
	if err := dispatch.Converse[*talk](a.Dispatcher, begin, nil); err == nil {
		t.Error("no behavior is accepted")
	}
}
