// Package examples runs the folder examples as a person would: the sandbox and the two services as processes, with the
// example's own configuration, and the commands of its README. What they print is shown; what the tables hold is
// compared with the example's checks.
package examples

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// Example is one folder of examples.
type Example struct {
	// Name is the folder's.
	Name string
	// Title says in a line what it shows.
	Title string
	run   func(context.Context, *world) error
	// before, if set, runs when the sandbox is up and the services are not.
	before func(context.Context, *world) error
}

// All are the examples, in the order of a reader.
var All = []Example{
	{Name: "delivery-v6", Title: "the built-in contract: one topic, one table", run: deliveryV6},
	{
		Name: "json-three-types", Title: "a JSON topic, three types into three tables, bad records set aside one " +
			"by one",
		run: jsonThreeTypes,
	},
	{
		Name: "evolving-avro", Title: "Avro with a schema registry: the schema grows under load, and the table with it",
		run: evolvingAvro, before: firstViews,
	},
}

// Config of a run.
type Config struct {
	// Root is the folder of the source; Bin that of the binaries sandbox, writer and ingest.
	Root, Bin string
	// Dir takes data and logs; it must be empty.
	Dir string
	// Out receives each command and what it said.
	Out io.Writer
}

// limit bounds an example, set-up included, on a machine that is busy with something else too.
const limit = 30 * time.Minute

// Run runs the example. The error says what was not as the example says it is, and where the logs are.
func (e Example) Run(ctx context.Context, c Config) (err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	fmt.Fprintf(c.Out, "== %s: %s\n\n", e.Name, e.Title)
	w, err := newWorld(c, filepath.Join(c.Root, "examples", e.Name))
	if err != nil {
		return err
	}
	err = w.stack.UpSandbox(ctx)
	if err == nil && e.before != nil {
		err = e.before(ctx, w)
	}
	if err == nil {
		err = w.stack.UpServices(ctx)
	}
	if err == nil {
		err = e.run(ctx, w)
	}
	if down := w.stack.Down(time.Minute); down != nil {
		err = errors.Join(err, fmt.Errorf("stop: %w", down))
	}
	if err != nil {
		return fmt.Errorf("example %s: %w\n  the logs are in %s", e.Name, err, filepath.Join(c.Dir, "logs"))
	}
	return nil
}

func deliveryV6(ctx context.Context, w *world) error {
	const ignored = "contracts.delivery.delivery_events_v6.DeliveryProcessingV6"
	return w.all(
		func() error { return w.do(ctx, "ingest", "check", "--config", w.config) },
		func() error { return w.do(ctx, "sandbox", "produce", "--events", "6000") },
		func() error { return w.settled(ctx, "delivery_events_v6_topic") },
		func() error {
			return w.do(ctx, "sandbox", "verify", "--topics", "delivery_events_v6_topic", "--ignore", ignored)
		},
		func() error {
			return w.do(ctx, "sandbox", "query", "--file",
				filepath.Join(w.root, "deploy", "sql", "delivery_events_legacy.sql"))
		},
		func() error { return w.checks(ctx) },
	)
}

func jsonThreeTypes(ctx context.Context, w *world) error {
	return w.all(
		func() error {
			return w.do(ctx, "sandbox", "send", "--topic", "shop_events", filepath.Join(w.dir, "records.jsonl"))
		},
		func() error { return w.settled(ctx, "shop_events") },
		func() error { return w.do(ctx, "ingest", "contracts", "list", "--config", w.config) },
		func() error { return w.do(ctx, "ingest", "contracts", "diff", "--config", w.config) },
		func() error { return w.checks(ctx) },
		func() error { return w.do(ctx, "ingest", "dead-letters", "list", "--config", w.config) },
		func() error { return w.letters(ctx, "shop_events", 3) },
	)
}
