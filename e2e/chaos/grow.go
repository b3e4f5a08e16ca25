package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// changeSchema adds a column to the orders' schema and restarts every ingest that runs, one after the other; the
// Storage Write API learns of the tables' new column late. Records have the column once no ingest is left that would
// refuse it, as producers would do it. Records that name their schema have it from the beginning, when the registry
// does: the contract grows under the restarts.
func (r *run) changeSchema(ctx context.Context, d Disturbance) error {
	if err := r.bigquery(ctx, d, map[string]any{"kind": "schema_delay", "delay": "1500ms"}); err != nil {
		return err
	}
	if err := r.register(ctx, grownScanSchema, grownScanID); err != nil {
		return err
	}
	r.framed.Store(true)
	if err := writeSchemas(r.config.Dir, true); err != nil {
		return err
	}
	for _, s := range r.stack.Ingests {
		if err := r.renew(ctx, s); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.grown.Store(true)
	r.line("  every ingest knows %s; records have it from now on", column)
	for _, l := range r.loads {
		for l.topic.grows && l.madeNewer() == 0 && ctx.Err() == nil {
			pause(ctx, 50*time.Millisecond)
		}
	}
	return nil
}

// renew restarts a service in order, if it runs once nobody else disturbs it. One that was down reads the new schema by
// itself.
func (r *run) renew(ctx context.Context, s *stack.Service) error {
	for !r.tryTake(s) {
		if pause(ctx, 50*time.Millisecond); ctx.Err() != nil {
			return nil
		}
	}
	defer r.free(s)
	if !s.Running() {
		return nil
	}
	if err := s.Stop(grace); err != nil {
		return err
	}
	return r.start(ctx, s)
}

// growth is what came of the change of schema.
type growth struct {
	// Records have the new column, Topics is how many topics they are in.
	Records int64
	Topics  int
}

func (r *run) growth() growth {
	var g growth
	for _, l := range r.loads {
		if l.topic.grows {
			g.Topics++
			g.Records += l.madeNewer()
		}
	}
	return g
}

func (g growth) String() string {
	return fmt.Sprintf("schema: the contracts of %d topics got the column %s under way; %d records have it",
		g.Topics, column, g.Records)
}
