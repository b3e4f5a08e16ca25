package e2e

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/waybill-data/waybill/e2e/examples"
)

// The examples do what they say.
func TestExamples(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range examples.All {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if err := e.Run(t.Context(), examples.Config{
				Root: root, Bin: bin, Dir: filepath.Join(t.TempDir(), "data"), Out: &out,
			}); err != nil {
				t.Errorf("%v\n%s", err, &out)
			}
		})
	}
}
