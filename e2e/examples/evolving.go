package examples

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
)

const views = "page_views"

// firstViews sends a few records, and so registers the first schema: a contract that names a subject needs it to be
// there.
func firstViews(ctx context.Context, w *world) error {
	return w.do(ctx, "sandbox", "send", "--topic", views, "--schema", filepath.Join(w.dir, "v1.avsc"),
		filepath.Join(w.dir, "v1.jsonl"))
}

// evolvingAvro changes the schema while records flow: producers with the old one go on, as they do in the world.
func evolvingAvro(ctx context.Context, w *world) error {
	file := func(name string) string { return filepath.Join(w.dir, name) }
	send := func(schema, records, repeat, rate string) error {
		return w.do(ctx, "sandbox", "send", "--topic", views, "--schema", file(schema), "--repeat", repeat, "--rate",
			rate, file(records))
	}
	fmt.Fprintln(w.out, "# Old producers write for five seconds; after a second new ones join them, with two fields "+
		"more.")
	old := make(chan error, 1)
	background := &world{root: w.root, dir: w.dir, config: w.config, stack: w.stack, out: io.Discard}
	go func() {
		old <- background.do(ctx, "sandbox", "send", "--topic", views, "--schema", file("v1.avsc"), "--repeat", "499",
			"--rate", "400", file("v1.jsonl"))
	}()
	err := w.awaitRows(ctx, 400)
	if err == nil {
		err = send("v2.avsc", "v2.jsonl", "300", "200")
	}
	if first := <-old; err == nil {
		err = first
	}
	if err != nil {
		return err
	}
	return w.all(
		func() error { return w.settled(ctx, views) },
		func() error { return w.do(ctx, "ingest", "contracts", "diff", "--config", w.config) },
		func() error { return w.checks(ctx) },
		func() error { return w.letters(ctx, views, 0) },
	)
}

// awaitRows waits until so many rows have settled.
func (w *world) awaitRows(ctx context.Context, n float64) error {
	return w.await(ctx, fmt.Sprintf("%.0f rows are settled", n), func() error {
		m, err := w.stack.Ingests[0].Metrics(ctx)
		if err != nil {
			return err
		}
		if got := m.Sum("waybill_ingest_settled_rows_total"); got < n {
			return fmt.Errorf("%.0f are", got)
		}
		return nil
	})
}
