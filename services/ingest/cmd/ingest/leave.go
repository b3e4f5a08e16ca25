package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/services/ingest"
)

// leaveWithin is how long the brokers may take.
const leaveWithin = 30 * time.Second

type leaveCmd struct {
	service.File
	Members []string `arg:"" optional:"" name:"member" help:"Names of members, as in their kafka.instance_id (default: that of the configuration)."`
	Output  string   `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

// Help is shown below the flags.
func (leaveCmd) Help() string {
	return `A static member (kafka.instance_id) that stops keeps its partitions for kafka.session_timeout, since it may
come back. When it does not, after scaling in for instance, this hands them to the others at once. Stop it first: one
that runs loses its lanes for a moment and joins again. Members without a name leave by themselves.

Examples:
  ingest leave ingest-3
  ingest leave ingest-3 ingest-4
  ingest leave ingest-3 -o json

Exit status: 0 they have left, 1 one is no member, or the brokers do not respond, 2 wrong usage.`
}

// Run leaves.
func (c *leaveCmd) Run(ctx context.Context, std cli.Streams) error {
	config, err := ingest.LoadParts(c.Config, "kafka")
	if err != nil {
		return err
	}
	members := c.Members
	if len(members) == 0 && config.Kafka.InstanceID != "" {
		members = []string{config.Kafka.InstanceID}
	}
	if len(members) == 0 {
		return errors.New("which member? kafka.instance_id of the configuration is empty: name those that are gone")
	}
	ctx, cancel := context.WithTimeout(ctx, leaveWithin)
	defer cancel()
	var errs []error
	left := []string{}
	for _, m := range members {
		switch err := ingest.Leave(ctx, &config, []string{m}); {
		case errors.Is(err, ingest.ErrNoMember):
			errs = append(errs, fmt.Errorf("%w: it left before, its session timed out, or its name is another one; "+
				"kafka-consumer-groups.sh --describe --members lists them", err))
		case err != nil:
			errs = append(errs, err)
		default:
			if left = append(left, m); c.Output == "text" {
				fmt.Fprintf(std.Out, "%s has left group %s; its partitions go to the others\n", m, config.Kafka.Group)
			}
		}
	}
	if c.Output == "json" {
		errs = append(errs, cli.JSON(std.Out, struct {
			Group string   `json:"group"`
			Left  []string `json:"left"`
		}{config.Kafka.Group, left}))
	}
	return errors.Join(errs...)
}
