package writer

import (
	"context"

	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/version"
	"github.com/waybill-data/waybill/services/writer/internal/sink"
)

// Check looks at everything that a configuration points to: credentials, dataset, permissions, the Storage Write API.
// It changes nothing.
func Check(ctx context.Context, c Config) []findings.Finding {
	found := append(c.Memory.Doubts(), service.PortDoubts(c.GRPC.port(), &c.Admin, &c.Access)...)
	found = append(found, c.Checkpoint.doubts()...)
	return append(found, sink.Check(ctx, c.BigQuery, version.String())...)
}
