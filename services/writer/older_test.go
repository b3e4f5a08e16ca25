package writer

import (
	"testing"

	"github.com/waybill-data/waybill/pkg/config/configtest"
)

// A file of an older version says which of its keys are gone.
func TestKeysOfOlderVersions(t *testing.T) {
	_, err := Load(configtest.New(t).Write(t, "writer.yaml", `
bigquery: {project: p, dataset: d}
grpc: {calls_per_connection: 100, calls_per_second: 10}
limits: {block_bytes: 4MiB, window_batches: 8}
`))
	configtest.Older(t, err, "grpc.calls_per_connection", "grpc.calls_per_second", "limits.block_bytes",
		"limits.window_batches")
}
