package actor_test

import (
	"context"
	"fmt"

	"parley/actor"
)

// A greeter handles one name at a time; a name it cannot greet is the end of
// the child that tried, and of nothing else.
func Example() {
	sys := actor.NewSystem(actor.Config{})

	greet := func(c *actor.Context, msg any) {
		name := msg.(string)
		if name == "" {
			panic("nobody to greet")
		}
		fmt.Println("Hello,", name)
		c.Stop(nil)
	}
	greeted := 0
	host := func(c *actor.Context, msg any) {
		switch msg := msg.(type) {
		case string:
			if child, err := c.Spawn(actor.Func(greet), actor.Options{}); err == nil {
				_ = child.Tell(msg)
			}
		case actor.Terminated:
			if msg.Reason != nil {
				fmt.Println("ended:", msg.Reason)
			}
			if greeted++; greeted == 2 {
				c.Stop(nil)
			}
		}
	}

	over := make(chan error, 1)
	ref, err := sys.Spawn(actor.Func(host), actor.Options{
		MaxMailbox: 100,
		OnEnd:      func(reason error) { over <- reason },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"Ada", ""} {
		if err := ref.Tell(name); err != nil {
			fmt.Println(err)
		}
	}
	<-over

	if err := sys.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Unordered output:
	// Hello, Ada
	// ended: actor: panic: nobody to greet
}
