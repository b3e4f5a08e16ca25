package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/terminal"
	"github.com/waybill-data/waybill/services/ingest"
)

type contractsCmd struct {
	List  contractsListCmd  `cmd:"" help:"List the contracts: topic, types, format, schema, table and policies."`
	Infer contractsInferCmd `cmd:"" help:"Read a sample of a topic, say what it holds, and write a contract to start from."`
	Test  contractsTestCmd  `cmd:"" help:"Decode samples and print their rows, or say what would become of a topic's records."`
	Diff  contractsDiffCmd  `cmd:"" help:"Compare the tables with the rows that are to go to them. Changes nothing."`
}

type contractsListCmd struct {
	service.File
	Output string `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

// Help is shown below the flags.
func (contractsListCmd) Help() string {
	return `Examples:
  ingest contracts list
  ingest contracts list -c staging.yaml
  ingest contracts list -o json

Exit status: 0 they compile, 1 one does not, with every problem, 2 wrong usage.`
}

// Run lists.
func (c *contractsListCmd) Run(ctx context.Context, std cli.Streams) error {
	contracts, err := openContracts(ctx, c.Config)
	if err != nil {
		return err
	}
	defer contracts.Close()
	if c.Output == "json" {
		return cli.JSON(std.Out, contractsForMachines(contracts.List()))
	}
	t := newTable(std.Out, terminal.Width(std.Out), nil, "topic", "contract", "types", "format", "schema", "table",
		"policies")
	t.folds = true
	for _, e := range contracts.List() {
		t.add(topic(&e), e.Name, typeList(e.Types), format(&e), schema(&e), e.Table, policies(&e))
	}
	t.flush()
	return nil
}

// listedContract is a contract for machines.
type listedContract struct {
	Topic        string   `json:"topic,omitempty"`
	TopicPattern string   `json:"topic_pattern,omitempty"`
	Contract     string   `json:"contract"`
	Types        []string `json:"types"`
	Ignore       []string `json:"ignore"`
	Format       string   `json:"format"`
	Framing      string   `json:"framing"`
	Schema       string   `json:"schema"`
	Table        string   `json:"table"`
	UnknownTable string   `json:"unknown_table,omitempty"`
	Policies     string   `json:"policies"`
}

func contractsForMachines(all []ingest.Contract) (out struct {
	Contracts []listedContract `json:"contracts"`
},
) {
	out.Contracts = []listedContract{}
	for i := range all {
		e := &all[i]
		out.Contracts = append(out.Contracts, listedContract{
			Topic: e.Topic, TopicPattern: e.TopicPattern, Contract: e.Name, Types: slices.Concat([]string{}, e.Types),
			Ignore: slices.Concat([]string{}, e.Ignore), Format: e.Format, Framing: e.Framing, Schema: schema(e),
			Table: e.Table, UnknownTable: e.UnknownTable, Policies: policies(e),
		})
	}
	return out
}

// openContracts opens the contracts of a configuration file.
func openContracts(ctx context.Context, file string) (*ingest.Contracts, error) {
	c, err := ingest.Load(file)
	if err != nil {
		return nil, err
	}
	return ingest.OpenContracts(ctx, c)
}

// topic is the entry's topic, or its pattern between slashes.
func topic(e *ingest.Contract) string {
	if e.TopicPattern != "" {
		return "/" + e.TopicPattern + "/"
	}
	return e.Topic
}

// format is the entry's format, and what stands before the payload.
func format(e *ingest.Contract) string {
	if e.Framing == "none" {
		return e.Format
	}
	return e.Format + ", " + e.Framing
}

// schema is where the entry's columns come from.
func schema(e *ingest.Contract) string {
	switch {
	case e.Builtin != "":
		return "built in"
	case e.Subject != "":
		return "subject " + strings.TrimSuffix(strings.TrimSpace(e.Subject+" "+e.SubjectVersion), " latest")
	case e.Message != "":
		return e.Schema + " " + e.Message
	case e.Schema != "":
		return e.Schema
	}
	return "-"
}

// typeList is a list of types; a long one is cut.
func typeList(types []string) string {
	const most = 3
	if len(types) > most {
		return fmt.Sprintf("%s, %d more", strings.Join(types[:most], ", "), len(types)-most)
	}
	return strings.Join(types, ", ")
}

// policies is what the entry says beyond its table, where it is not the default.
func policies(e *ingest.Contract) string {
	out := []string{strings.ReplaceAll(e.Delivery, "_", " ")}
	for _, p := range []struct{ name, value, usual string }{
		{"evolution", e.Evolution, "off"},
		{"missing values", e.MissingValues, "null"},
		{"unknown types", e.Unknown, "dead_letter"},
		{"tombstones", e.Tombstones, "ignore"},
		{"unknown fields", e.UnknownFields, ""},
		{"key", e.Key, "keep"},
	} {
		switch {
		case p.name == "unknown types" && e.UnknownTable != "":
			out = append(out, "unknown types to "+e.UnknownTable)
		case p.value != p.usual:
			out = append(out, p.name+" "+strings.ReplaceAll(p.value, "_", " "))
		}
	}
	if len(e.Ignore) > 0 {
		out = append(out, "ignores "+typeList(e.Ignore))
	}
	return strings.Join(out, ", ")
}
