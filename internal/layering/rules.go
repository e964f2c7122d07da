package layering

// Packages of other modules that more than one place names.
const (
	quicGo     = "github.com/quic-go/quic-go/..."
	protoActor = "github.com/asynkron/protoactor-go/..."
	protobuf   = "google.golang.org/protobuf/..."
	xCrypto    = "golang.org/x/crypto/..."
	xNetIPv4   = "golang.org/x/net/ipv4"
	xSys       = "golang.org/x/sys/..."
	xText      = "golang.org/x/text/..."
)

// Module returns the rules of this module, one per layer, lowest first.
func Module() *Table {
	network := []string{"net", "net/http/...", "crypto/tls"}
	return &Table{
		Rules: []Rule{
			{
				Tree:    "peer",
				Imports: []string{xCrypto, xSys},
				Forbid:  []string{"net/...", "crypto/tls"},
			},
			{
				// The generator of the look-alike table is in this tree too.
				Tree:    "peer/petname/...",
				Imports: []string{"peer", xText},
				Forbid:  network,
			},
			{
				Tree:    "schema/...",
				Imports: []string{protobuf},
				Forbid:  network,
			},
			{
				// No clock, no goroutines and no I/O: a codec is a function of its
				// bytes. Imports can say so of I/O; time is there for Duration.
				Tree:    "wire",
				Imports: []string{"peer", "schema/...", protobuf},
				Forbid:  []string{"net/...", "crypto/tls", "os/...", "log/...", "context"},
			},
			{
				Tree:        "socket",
				Imports:     []string{"peer", "wire", "socket/record", "internal/netwatch", "internal/pace", quicGo, xCrypto, xNetIPv4, xSys},
				TestImports: []string{"internal/simnet", "schema/...", protobuf, "golang.org/x/net/nettest"},
				Forbid:      []string{"net/http/..."},
			},
			{
				Tree:    "socket/record",
				Imports: []string{"wire"},
				Forbid:  []string{"net/...", "crypto/tls", "os/...", "log/...", "context", "time"},
			},
			{
				// A carrier knows packets, and nothing of what they carry.
				Tree:        "socket/memory",
				TestImports: []string{"peer", "socket"},
				Forbid:      []string{"net/http/...", "crypto/tls"},
			},
			{
				Tree:    "actor",
				Imports: []string{protoActor},
				Forbid:  []string{"net/...", "crypto/tls"},
			},
			{
				// The transport is an interface of dispatch's own making, stated
				// without a single type of net's.
				Tree:        "dispatch/...",
				Imports:     []string{"peer", "wire", "schema/...", "actor", protobuf},
				TestImports: []string{"internal/simnet"},
				Forbid:      []string{"net/...", "crypto/tls", "os/..."},
			},
			{
				Tree:        "internal/simnet",
				TestImports: []string{quicGo},
			},
			{
				Tree:   "internal/pace",
				Forbid: []string{"net/...", "os/...", "log/..."},
			},
			{
				Tree:    "internal/netwatch",
				Imports: []string{xSys},
				Forbid:  []string{"net/http/...", "crypto/tls", "os/exec"},
			},
			{
				Tree: "internal/layering",
			},
			{
				// A generator: it reads source, and nothing imports it.
				Tree:   "internal/statediagram",
				Forbid: network,
			},
			{
				// The layers together; tests only.
				Tree:        "internal/e2e",
				TestImports: []string{"peer", "socket", "dispatch", "internal/simnet", protobuf},
			},
			{
				Tree:        "internal/readme",
				TestImports: []string{"peer", "socket", "socket/memory", "socket/record", "dispatch", protobuf},
			},
			{
				// Examples use what any program may: every public package, and
				// libraries of their own choice for what is on the screen.
				Tree: "examples/...",
				Imports: []string{
					"peer/...", "wire", "schema/...", "socket", "dispatch/...", protobuf,
					"charm.land/bubbletea/v2/...", "charm.land/bubbles/v2/...", "charm.land/lipgloss/v2/...",
					"golang.org/x/sys/...",
					"golang.org/x/term/...",
				},
				TestImports: []string{"internal/simnet"},
			},
		},
		TestImports: []string{
			"github.com/cockroachdb/datadriven",
			"go.uber.org/goleak",
			"pgregory.net/rapid",
		},
		Owners: map[string][]string{
			quicGo:     {"socket"},
			protoActor: {"actor"},
			// Belongs to the store alone, which has yet to be built.
			"database/sql/...": nil,
		},
		Apart: [][2]string{
			{"socket", "dispatch/..."},
			{"socket", "actor"},
		},
	}
}
