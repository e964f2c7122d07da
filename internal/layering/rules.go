package layering

// Packages of other modules that more than one place names.
const (
	quicGo     = "github.com/quic-go/quic-go/..."
	protoActor = "github.com/asynkron/protoactor-go/..."
	protobuf   = "google.golang.org/protobuf/..."
	xCrypto    = "golang.org/x/crypto/..."
	xSys       = "golang.org/x/sys/..."
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
				Imports:     []string{"peer", "wire", quicGo, xCrypto, xSys},
				TestImports: []string{"internal/simnet", "schema/...", protobuf},
				Forbid:      []string{"net/http/..."},
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
				Tree: "internal/layering",
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
