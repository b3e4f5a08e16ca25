package ingest

import (
	"context"

	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// ErrNoMember says that the group has no static member of a name.
var ErrNoMember = source.ErrNoMember

// Leave takes static members of the configuration's group, by their instance ids, out of it at once: see source.Leave.
func Leave(ctx context.Context, c *Config, members []string) error {
	return source.Leave(ctx, c.source(), members)
}
