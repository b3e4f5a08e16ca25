package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/terminal"
	"github.com/waybill-data/waybill/services/ingest"
)

type contractsInferCmd struct {
	service.File
	Topic      string `arg:"" help:"The topic to look at."`
	Out        string `placeholder:"DIR" type:"path" help:"Write there (default: contracts_dir of the configuration, else contracts.d beside it)."`
	TypeHeader string `placeholder:"NAME" help:"The header that names the types (default: the first of the usual ones that records have)."`
	OneTable   bool   `help:"One contract and one table for all JSON records, whatever their type."`
	Table      string `placeholder:"NAME" help:"The table, or what the tables of several types begin with (default: the topic's name)."`
	Force      bool   `help:"Overwrite files that are there."`
	DryRun     bool   `help:"Write no file."`
	sampled
}

// Help is shown below the flags.
func (contractsInferCmd) Help() string {
	return `Reads the last --limit records of the topic: JSON without a schema, Avro and protobuf by the schema
registry, anything else as it is. Says which types and fields there are and how often a field is null or absent, and
writes a contract and a schema that take all of these records. No group is joined and nothing is committed. Of the
configuration only the connections count.

Kinds that clash become a JSON column, and a field that cannot name a column gets another name. Then look at the
contract: the table, event_id and event_time are for people to choose.
Exit status 0: every record would become a row; 1: some would not.

Examples:
  ingest contracts infer orders
  ingest contracts infer orders --limit 10000 --out /tmp/orders --table shop.orders
  ingest contracts infer orders --dry-run -o json`
}

// Validate is called by kong.
func (c *contractsInferCmd) Validate() error { return c.validate() }

// Run looks at the topic.
func (c *contractsInferCmd) Run(ctx context.Context, std cli.Streams) error {
	config, err := ingest.LoadAlone(c.Config)
	if err != nil {
		return err
	}
	dir := c.dir(&config)
	in, err := ingest.Infer(ctx, config, ingest.Inferring{
		Topic: c.Topic, Bounds: c.bounds(), TypeHeader: c.TypeHeader, OneTable: c.OneTable, Table: c.Table,
		Read: progress(std, c.Topic),
	})
	if err != nil {
		return err
	}
	if !c.DryRun && len(in.Types) > 0 {
		if err := c.write(dir, in.Files); err != nil {
			return err
		}
	}
	if c.Output == "json" {
		if err := printJSON(std.Out, newInferenceLine(in)); err != nil {
			return err
		}
	} else {
		c.print(std.Out, in)
		c.next(std.Out, &config, dir, in)
	}
	if in.Trial == nil || in.Trial.Letters > 0 {
		return cli.ErrFailed
	}
	return nil
}

// dir is where files are written.
func (c *contractsInferCmd) dir(config *ingest.Config) string {
	switch {
	case c.Out != "":
		return c.Out
	case config.ContractsDir == "":
		return filepath.Join(config.Dir, "contracts.d")
	case filepath.IsAbs(config.ContractsDir):
		return config.ContractsDir
	}
	return filepath.Join(config.Dir, config.ContractsDir)
}

// write writes all files, or none where one is there already.
func (c *contractsInferCmd) write(dir string, files []ingest.InferredFile) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if c.Force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, f.Name)); err == nil && !c.Force {
			return fmt.Errorf("%s is there already, and nothing was written: --force overwrites it, --out names "+
				"another folder",
				filepath.Join(dir, f.Name))
		}
	}
	for _, f := range files {
		out, err := os.OpenFile(filepath.Join(dir, f.Name), flags, 0o644)
		if err != nil {
			return err
		}
		_, err = out.Write(f.Content)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	return nil
}

// print says what the topic holds.
func (c *contractsInferCmd) print(out io.Writer, in *ingest.Inference) {
	width := terminal.Width(out)
	fmt.Fprintf(out, "%s\n\n", c.said(in.Topic, in.Sampled))
	types := newTable(out, width, []bool{true, true}, "records", "fields", "format", "table", "types")
	types.folds = true
	for i := range in.Types {
		t := &in.Types[i]
		types.add(thousands(t.Records), thousands(len(t.Fields)), formatOf(t), t.Table,
			cmp.Or(clean(strings.Join(t.Types, ", ")), "-"))
	}
	if in.Tombstones > 0 {
		types.add(thousands(in.Tombstones), "-", "-", "-", "null values: the contract ignores them")
	}
	types.flush()
	for i := range in.Types {
		c.fields(out, width, &in.Types[i])
	}
	if len(in.Notes) > 0 {
		fmt.Fprintln(out)
	}
	for _, n := range in.Notes {
		fmt.Fprintln(out, terminal.Hang("note: "+clean(n), 6, width))
	}
}

// formatOf is the format of a type, and where its schema is.
func formatOf(t *ingest.InferredType) string {
	switch {
	case len(t.Schemas) > 0:
		ids := make([]string, len(t.Schemas))
		for i, id := range t.Schemas {
			ids[i] = fmt.Sprint(id)
		}
		return fmt.Sprintf("%s, subject %s, %s %s", t.Format, clean(t.Subject), pick(len(ids) == 1, "id", "ids"),
			strings.Join(ids, " "))
	case t.Format == "raw":
		kinds := slices.Sorted(maps.Keys(t.Payloads))
		return "raw: " + strings.Join(kinds, ", ")
	}
	return t.Format
}

// fields tabulates the fields of a type.
func (c *contractsInferCmd) fields(out io.Writer, width int, t *ingest.InferredType) {
	if len(t.Fields) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n", t.Table)
	table := newTable(out, width, []bool{false, true, true, true}, "field", "null", "absent", "of", "column", "values")
	table.folds = true
	for i := range t.Fields {
		f := &t.Fields[i]
		table.add(clean(f.Path), share(f.Null, f.Of), share(f.Absent, f.Of), thousands(f.Of), cmp.Or(f.Column, "-"),
			valuesOf(f))
	}
	table.flush()
}

// share is how many of a number, as a percentage that is 0% and 100% only where it is exactly.
func share(n, of int) string {
	switch {
	case n == 0:
		return "-"
	case n >= of:
		return "100%"
	case n*100 < of:
		return "<1%"
	}
	return fmt.Sprintf("%d%%", min(99, (n*100+of/2)/of))
}

// valuesOf says of which kinds the values of a field are, and why its column is not what one would expect.
func valuesOf(f *ingest.InferredField) string {
	kinds := slices.SortedFunc(maps.Keys(f.Kinds), func(a, b string) int {
		if f.Kinds[a] != f.Kinds[b] {
			return f.Kinds[b] - f.Kinds[a]
		}
		return strings.Compare(a, b)
	})
	for i, k := range kinds {
		if len(kinds) > 1 {
			kinds[i] = fmt.Sprintf("%s %s", thousands(f.Kinds[k]), k)
		}
	}
	said := strings.Join(kinds, ", ")
	switch {
	case f.Clash:
		return "CLASH: " + said
	case f.Note != "" && said != "":
		return said + " (" + clean(f.Note) + ")"
	}
	return cmp.Or(said, cmp.Or(clean(f.Note), "-"))
}

// next says what was written, what becomes of the records, and what to do then.
func (c *contractsInferCmd) next(out io.Writer, config *ingest.Config, dir string, in *ingest.Inference) {
	if in.Trial == nil {
		fmt.Fprintln(out, "\nno contract was written")
		return
	}
	fmt.Fprintf(out, "\nof these records: %s, %s, %s\n", plural(in.Trial.Rows, "row", "rows"),
		plural(in.Trial.Letters, "dead letter", "dead letters"), plural(in.Trial.Tombstones, "tombstone", "tombstones"))
	for _, l := range in.Trial.LettersBy {
		fmt.Fprintf(out, "  %s from %d/%d on: %s\n", thousands(l.Letters), l.Partition, l.Offset,
			clean(strings.TrimPrefix(l.Field+": "+l.Err, ": ")))
	}
	if c.DryRun {
		return
	}
	for _, f := range in.Files {
		fmt.Fprintf(out, "written: %s\n", filepath.Join(dir, f.Name))
	}
	fmt.Fprintf(out, "\nnext: ingest contracts test -c %s --topic %s --entries %s\n", c.Config, in.Topic,
		filepath.Join(dir, in.Files[0].Name))
	if c.Out == "" && config.ContractsDir == "" {
		fmt.Fprintf(out, "      and say `contracts_dir: contracts.d` in %s\n", c.Config)
	}
}

// inferenceLine is an inference as JSON.
type inferenceLine struct {
	Topic      string             `json:"topic"`
	Sampled    sampledLine        `json:"sampled"`
	TypeHeader string             `json:"type_header,omitempty"`
	Tombstones int                `json:"tombstones"`
	Types      []inferredTypeLine `json:"types"`
	Notes      []string           `json:"notes"`
	Trial      *trialLine         `json:"trial,omitempty"`
	// Files are by name.
	Files map[string]string `json:"files"`
}

type inferredTypeLine struct {
	Types    []string               `json:"types"`
	Records  int                    `json:"records"`
	Format   string                 `json:"format"`
	Payloads map[string]int         `json:"payloads"`
	Schemas  []int                  `json:"schema_ids,omitempty"`
	Subject  string                 `json:"subject,omitempty"`
	Table    string                 `json:"table"`
	Fields   []ingest.InferredField `json:"fields"`
}

func newInferenceLine(in *ingest.Inference) inferenceLine {
	line := inferenceLine{
		Topic: in.Topic, Sampled: sampledLine(in.Sampled), TypeHeader: in.TypeHeader, Tombstones: in.Tombstones,
		Types: []inferredTypeLine{}, Notes: append([]string{}, in.Notes...), Files: map[string]string{},
	}
	for i := range in.Types {
		t := &in.Types[i]
		line.Types = append(line.Types, inferredTypeLine{
			append([]string{}, t.Types...), t.Records, t.Format, t.Payloads, t.Schemas, t.Subject, t.Table,
			append([]ingest.InferredField{}, t.Fields...),
		})
	}
	if in.Trial != nil {
		trial := newTrialLine(in.Trial)
		line.Trial = &trial
	}
	for _, f := range in.Files {
		line.Files[f.Name] = string(f.Content)
	}
	return line
}
