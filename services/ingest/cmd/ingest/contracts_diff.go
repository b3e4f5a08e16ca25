package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/terminal"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest"
)

type contractsDiffCmd struct {
	service.File
	Timeout time.Duration `default:"30s" help:"How long to wait for the writer (${default})."`
	Extra   bool          `help:"Also show columns that only the table has; they stay null."`
	Output  string        `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

// Help is shown below the flags.
func (contractsDiffCmd) Help() string {
	return `Asks a writer of the configuration, which asks BigQuery. Nothing is created or changed.
Exit status 0: every lane will run; 1: the rows of some table would be refused.

Examples:
  ingest contracts diff
  ingest contracts diff -c staging.yaml --extra
  ingest contracts diff -o json`
}

// Run compares.
func (c *contractsDiffCmd) Run(ctx context.Context, std cli.Streams) error {
	contracts, err := openContracts(ctx, c.Config)
	if err != nil {
		return err
	}
	defer contracts.Close()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	diffs, err := contracts.Diff(ctx)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		refused, err := diffJSON(std.Out, diffs)
		if err == nil && refused {
			err = cli.ErrFailed
		}
		return err
	}
	if c.print(std.Out, diffs) {
		return cli.ErrFailed
	}
	return nil
}

// diffLine is the comparison of a table with a contract as JSON; what differs is as the lane protocol has it.
type diffLine struct {
	Contract string          `json:"contract"`
	Verdict  ingest.Verdict  `json:"verdict"`
	Diff     json.RawMessage `json:"diff"`
}

// diffJSON prints comparisons, and reports whether any table is refused.
func diffJSON(out io.Writer, diffs []ingest.TableDiff) (refused bool, err error) {
	lines := []diffLine{}
	for i := range diffs {
		d := &diffs[i]
		text, err := protojson.Marshal(d.Diff)
		if err != nil {
			return false, err
		}
		lines = append(lines, diffLine{d.Contract.Name, d.Verdict(), text})
		refused = refused || d.Verdict() == ingest.VerdictRefused
	}
	return refused, cli.JSON(out, struct {
		Tables []diffLine `json:"tables"`
	}{lines})
}

// print prints the tables, then the columns of those that differ, and reports whether any is refused.
func (c *contractsDiffCmd) print(out io.Writer, diffs []ingest.TableDiff) (refused bool) {
	width := terminal.Width(out)
	tables := newTable(out, width, nil, "table", "contract", "evolution", "verdict")
	tables.folds = true
	counts := map[ingest.Verdict]int{}
	for i := range diffs {
		d := &diffs[i]
		v := d.Verdict()
		counts[v]++
		said := string(v) + summary(d)
		if d.Diff.GetObstacle() != "" {
			said += ": " + d.Diff.GetObstacle()
		}
		tables.add(d.Diff.GetTable(), d.Contract.Name, d.Contract.Evolution, said)
	}
	tables.flush()
	for i := range diffs {
		c.columns(out, width, &diffs[i])
	}
	fmt.Fprintf(out, "\n%s: %d to be created, %d fitting, %d with columns to add, %d refused\n",
		plural(len(diffs), "table", "tables"), counts[ingest.VerdictCreated], counts[ingest.VerdictFits],
		counts[ingest.VerdictColumns],
		counts[ingest.VerdictRefused])
	return counts[ingest.VerdictRefused] > 0
}

// summary counts the differences.
func summary(d *ingest.TableDiff) string {
	counts := map[lanev1.DifferenceKind]int{}
	for _, difference := range d.Diff.GetDifferences() {
		counts[difference.GetKind()]++
	}
	var parts []string
	for _, k := range []struct {
		kind lanev1.DifferenceKind
		what string
	}{
		{lanev1.DifferenceKind_DIFFERENCE_KIND_TYPE, "of another type"},
		{lanev1.DifferenceKind_DIFFERENCE_KIND_NARROWER, "too narrow"},
		{lanev1.DifferenceKind_DIFFERENCE_KIND_MISSING, "missing"},
		{
			lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED,
			pick(d.Contract.Evolution == "additive", "to relax", "REQUIRED"),
		},
		{lanev1.DifferenceKind_DIFFERENCE_KIND_SHORTER, "shorter"},
		{lanev1.DifferenceKind_DIFFERENCE_KIND_DEFAULT, "with a default value"},
		{lanev1.DifferenceKind_DIFFERENCE_KIND_EXTRA, "only in the table"},
	} {
		if counts[k.kind] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[k.kind], k.what))
		}
	}
	if len(parts) == 0 || !d.Diff.GetExists() {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// columns prints the columns of a table that differ.
func (c *contractsDiffCmd) columns(out io.Writer, width int, d *ingest.TableDiff) {
	if !d.Diff.GetExists() {
		return
	}
	t := newTable(out, width, nil, "column", "table has", "rows have", "what happens")
	t.folds = true
	some := false
	for _, difference := range d.Diff.GetDifferences() {
		if difference.GetKind() == lanev1.DifferenceKind_DIFFERENCE_KIND_EXTRA && !c.Extra {
			continue
		}
		t.add(difference.GetColumn(), dash(difference.GetHave()), dash(difference.GetWant()), happens(d, difference))
		some = true
	}
	if !some && len(d.Diff.GetRemarks()) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n", d.Diff.GetTable())
	t.flush()
	for _, remark := range d.Diff.GetRemarks() {
		fmt.Fprintln(out, terminal.Hang("  note: "+remark, 8, width))
	}
}

// happens is what becomes of rows by one difference.
func happens(d *ingest.TableDiff, difference *lanev1.Difference) string {
	additive, fills := d.Contract.Evolution == "additive", d.Contract.MissingValues == "default"
	value := difference.GetDefault()
	switch difference.GetKind() {
	case lanev1.DifferenceKind_DIFFERENCE_KIND_EXTRA:
		return pick(value == "", "stays null", "BigQuery fills it in: "+value)
	case lanev1.DifferenceKind_DIFFERENCE_KIND_DEFAULT:
		return pick(fills, "BigQuery fills in missing values: "+value,
			"missing values are null; missing_values: default has BigQuery fill in "+value)
	case lanev1.DifferenceKind_DIFFERENCE_KIND_SHORTER:
		return "rows with longer values are refused, one by one"
	case lanev1.DifferenceKind_DIFFERENCE_KIND_MISSING:
		return pick(additive, "added", "refused: add the column, or set evolution: additive")
	case lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED:
		one := "rows without a value are refused, one by one"
		if value != "" {
			one += "; missing_values: default has BigQuery fill in " + value
		}
		return pick(additive, "relaxed to NULLABLE",
			pick(ingest.Runs(difference), one, "refused: relax the column, or set evolution: additive"))
	case lanev1.DifferenceKind_DIFFERENCE_KIND_NARROWER:
		return "refused: widen the column, or ask for no more digits with columns:"
	}
	return "refused: no evolution changes a type; use another table or column"
}

func pick(yes bool, then, otherwise string) string {
	if yes {
		return then
	}
	return otherwise
}
