package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/waybill-data/waybill/sandbox/verify"
)

type verifyCommand struct {
	connection
	Topics []string `help:"Topics to compare; without it, both built-in ones."`
	Sample int      `default:"200" help:"How many records of each topic have their content compared field by field (0: none)."`
	Seed   uint64   `default:"1" help:"Chooses the sample."`
	Ignore []string `placeholder:"TYPE" help:"Values of item_type_name that the contract ignores: their records need no row."`
	Config string   `placeholder:"FILE" help:"The configuration of ingest: its contracts say where event_time comes from, in which unit, and what is ignored."`
	Unit   string   `name:"event-time-unit" enum:"auto,s,ms,us,ns" default:"auto" help:"Without --config: what the contract says a whole number of event_time counts: ${enum}."`
	Field  string   `name:"event-time-field" default:"timestamp" help:"Without --config: the payload's field that the contract takes event_time from."`
	JSON   bool     `name:"json" help:"Print the report as one line of JSON."`
}

// Help is shown below the flags.
func (verifyCommand) Help() string {
	return `Every record must have one row, or a dead letter, or be one that the contract ignores. The exit code is 1
when anything is off, and the first few places are named.

Examples:
  sandbox verify
  sandbox verify --topics delivery_events_v6_topic --sample 2000
  sandbox verify --config ingest.yaml
  sandbox verify --event-time-unit ms
  sandbox verify --json | jq .missing`
}

// Run compares.
func (c verifyCommand) Run(ctx context.Context, s streams) error {
	endpoints, err := c.endpoints(ctx)
	if err != nil {
		return err
	}
	config := verify.Config{Seeds: endpoints.Kafka, Admin: endpoints.Admin, Seed: c.Seed, Sample: c.Sample}
	if c.Sample <= 0 {
		config.Sample = -1
	}
	if config.Topics, err = c.topics(endpoints.Dataset); err != nil {
		return err
	}
	report, err := verify.Run(ctx, config)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(s.out).Encode(report)
	} else {
		err = report.Print(s.out)
	}
	if err == nil && !report.OK() {
		return errShown
	}
	return err
}

func (c verifyCommand) topics(dataset string) ([]verify.Topic, error) {
	known := verify.Builtin(dataset)
	for i := range known {
		known[i].Ignored = c.Ignore
		known[i].EventTime = verify.EventTime{Field: c.Field, Unit: c.Unit}
	}
	if c.Config != "" {
		if err := verify.Follow(known, c.Config); err != nil {
			return nil, err
		}
	}
	if len(c.Topics) == 0 {
		return known, nil
	}
	var chosen []verify.Topic
	for _, name := range c.Topics {
		i := slices.IndexFunc(known, func(t verify.Topic) bool { return t.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("topic %s has no built-in contract: use %s or %s", name, known[0].Name,
				known[1].Name)
		}
		chosen = append(chosen, known[i])
	}
	return chosen, nil
}
