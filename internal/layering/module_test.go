package layering

import (
	"os"
	"testing"
)

// root is the module's root as seen from this package's folder, where the go
// tool runs its tests.
const root = "../.."

func TestModuleKeepsItsLayers(t *testing.T) {
	g, err := Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range Module().Check(g) {
		t.Error(v)
	}
}
