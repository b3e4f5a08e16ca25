package writer

import (
	"context"
	"fmt"

	"github.com/waybill-data/waybill/pkg/admin"
	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/pkg/memory"
	"github.com/waybill-data/waybill/pkg/version"
	"github.com/waybill-data/waybill/services/writer/internal/sink"
)

// Check looks at everything that a configuration points to: credentials, dataset, permissions, the Storage Write API.
// It changes nothing.
func Check(ctx context.Context, c Config) []findings.Finding {
	var found []findings.Finding
	if need, limit, tooLarge := memory.TooLarge(c.Memory.Size(), 0); tooLarge {
		found = append(found, findings.Finding{
			What: "memory.budget", State: findings.Warn,
			Detail: fmt.Sprintf("the process takes about %d MiB with it, and the container has %d", need>>20, limit>>20),
			Remedy: "leave memory.budget out, or raise the container's limit",
		})
	}
	return append(found, sink.Check(ctx, c.BigQuery, version.String())...)
}

// Health asks a running writer at its admin address whether it takes lanes, or whether it is there at all. It is for
// images without a shell.
func Health(ctx context.Context, c Config, q admin.Question) error {
	return admin.Ask(ctx, c.Admin.Listen, q)
}
