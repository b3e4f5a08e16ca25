package writer

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/config/configtest"
)

// A file of an older version says which of its keys are gone.
func TestKeysOfOlderVersions(t *testing.T) {
	_, err := Load(configtest.New(t).Write(t, "writer.yaml", `
bigquery: {project: p, dataset: d}
grpc: {calls_per_connection: 100, calls_per_second: 10}
limits: {block_bytes: 4MiB, window_batches: 8}
`))
	problems, _ := errors.AsType[config.Problems](err)
	var got []string
	for _, p := range problems {
		if strings.HasPrefix(p.Message, "is a key of older versions: ") && p.Remedy == "remove it" {
			got = append(got, p.Key)
		}
	}
	want := []string{
		"grpc.calls_per_connection", "grpc.calls_per_second", "limits.block_bytes", "limits.window_batches",
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("keys that are gone: %v, want %v: %v", got, want, err)
	}
}
