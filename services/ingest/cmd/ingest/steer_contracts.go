package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/terminal"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
)

type reloadCmd struct {
	acting
	Back bool `help:"Go back to the contracts that the last reload replaced, whatever the files say."`
}

// Help is shown below the flags.
func (reloadCmd) Help() string {
	return `All ingests read the contracts of their own configuration files again, sections contracts and contracts_dir;
other sections are left alone. They are compiled and compared with the tables first. Lanes whose contracts have changed
settle what they have sent and open again. If one ingest refuses them, or a lane is refused with them, all go back. What
changes the routing of a topic, or which topics are read, is refused: that takes a restart.

Examples:
  ingest reload --validate            # what would change
  ingest reload --reason "orders gained a column"
  ingest reload --back                # to those of before, while the files are put back

Exit status: 0 done, or nothing has changed; 1 refused, with the contracts of before in use, or nobody responds; 2 wrong
usage.`
}

// Run reloads.
func (c *reloadCmd) Run(ctx context.Context, std cli.Streams) error {
	return do(ctx, &c.acting, std, func(ctx context.Context, s steers) (*adminv1.ReloadContractsResponse, error) {
		return s.ReloadContracts(ctx, &adminv1.ReloadContractsRequest{Act: c.act(), Back: c.Back})
	}, func(out io.Writer, r *adminv1.ReloadContractsResponse) {
		t := newTable(out, terminal.Width(out), nil, "contract", "topic", "what changes")
		t.folds = true
		for _, change := range r.GetChanges() {
			for _, what := range change.GetWhat() {
				t.add(change.GetContract(), change.GetTopic(), what)
			}
		}
		if len(r.GetChanges()) > 0 {
			t.flush()
		}
	})
}

type skipCmd struct {
	acting
	Record string `arg:"" name:"topic/partition/offset" help:"The record."`
}

// Help is shown below the flags.
func (skipCmd) Help() string {
	return `The record becomes a dead letter in place of a row, with the reason, and its lane goes on behind it: the one
that a lane waits for, or any that is not settled yet. A record whose row is in the table already stays a row. The
record can be replayed later, as any dead letter: ` + "`ingest dead-letters replay`" + `.

Examples:
  ingest skip orders/3/125 --reason "its schema was never registered"
  ingest skip orders/3/125 --reason "a try" --validate

Exit status: 0 it is a dead letter, or will be once its lane is there; 1 refused, with nothing changed, or nobody
responds; 2 wrong usage.`
}

// Validate is called by kong.
func (c *skipCmd) Validate() error {
	if c.Reason == "" {
		return errors.New("--reason: is needed, for it is said in the dead letter")
	}
	_, err := deadletter.ParsePlace(c.Record)
	return err
}

// Run skips.
func (c *skipCmd) Run(ctx context.Context, std cli.Streams) error {
	of, err := deadletter.ParsePlace(c.Record)
	if err != nil {
		return err
	}
	return do(ctx, &c.acting, std, func(ctx context.Context, s steers) (*adminv1.SkipRecordResponse, error) {
		return s.SkipRecord(ctx, &adminv1.SkipRecordRequest{
			Act: c.act(), Topic: of.Topic, Partition: of.Partition, Offset: of.Offset,
		})
	}, func(out io.Writer, _ *adminv1.SkipRecordResponse) {
		fmt.Fprintf(out, "What it became: ingest explain %s\n", c.Record)
	})
}
