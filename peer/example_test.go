package peer_test

import (
	"fmt"
	"os"
	"path/filepath"

	"parley/peer"
)

// A program's identity is made on first use and found from then on.
func ExampleLoadOrCreateKey() {
	home, err := os.MkdirTemp("", "home")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(home)
	path := filepath.Join(home, "parley", "id")

	first, created, err := peer.LoadOrCreateKey(path, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("created:", created)

	second, created, err := peer.LoadOrCreateKey(path, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("created:", created, "same peer:", first.ID() == second.ID())
	fmt.Println("the key prints as", second)
	// Output:
	// created: true
	// created: false same peer: true
	// the key prints as redacted
}

func ExampleParseID() {
	id, err := peer.ParseID("47pjoycnsrfmxikm95jh13y88e8qnhzu5kungjpxyepgt7a8krpy")
	fmt.Println(id.Short(), err)

	_, err = peer.ParseID("47PJoycnsrfmxikm95jh13y88e8qnhzu5kungjpxyepgt7a8krpy")
	fmt.Println(err)
	// Output:
	// 47pjoycn <nil>
	// invalid peer id: character 'P' at position 3 is upper case; ids are lower case only
}

func ExamplePolicy() {
	friend, _ := peer.GenerateKey()
	stranger, _ := peer.GenerateKey()

	var policy peer.Policy
	policy.Allow(friend.ID())
	fmt.Println(policy.Check(friend.ID()) == nil, policy.Check(stranger.ID()) == nil)
	// Output: true false
}
