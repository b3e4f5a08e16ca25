package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/waybill-data/waybill/sandbox/internal/table"
	"github.com/waybill-data/waybill/sandbox/send"
)

type sendCommand struct {
	connection
	File       string  `arg:"" optional:"" default:"-" help:"File of records, one JSON object a line; - is standard input."`
	Topic      string  `required:"" help:"Topic to send to."`
	Partitions int     `default:"4" help:"Partitions of the topic, if it must be created."`
	Repeat     int     `default:"1" help:"Send all records so many times."`
	Rate       float64 `help:"Records a second; without it, flat out."`
	Schema     string  `type:"existingfile" placeholder:"AVSC" help:"Encode the values as Avro with this schema, in the Confluent wire format; it is registered first."`
	Subject    string  `help:"Subject to register the schema under. Default: the topic's name and -value."`
}

// Help is shown below the flags.
func (sendCommand) Help() string {
	return `A line is {"key": "…", "headers": {"item_type_name": "…"}, "value": …}; partition, timestamp_ms and
value_base64 are possible too. A value that is a string is sent as its text, null as a tombstone, anything else as that
JSON.

Examples:
  sandbox send --topic orders records.jsonl
  echo '{"value": {"id": 7}, "headers": {"item_type_name": "shop.Order"}}' | sandbox send --topic orders
  sandbox send --topic page_views --schema v2.avsc views.jsonl`
}

// Run sends.
func (c sendCommand) Run(ctx context.Context, s streams) error {
	if c.Repeat <= 0 || c.Partitions <= 0 || c.Rate < 0 {
		return errors.New("--repeat and --partitions must be positive, and --rate not negative")
	}
	if c.Subject != "" && c.Schema == "" {
		return errors.New("--subject needs --schema: the schema that is registered under it")
	}
	endpoints, err := c.endpoints(ctx)
	if err != nil {
		return err
	}
	config := send.Config{
		Seeds: endpoints.Kafka, Topic: c.Topic, Partitions: c.Partitions, Repeat: c.Repeat,
		Rate: c.Rate,
	}
	if c.Schema != "" {
		if config.Encode, err = c.avro(ctx, endpoints.Registry); err != nil {
			return err
		}
	}
	var in io.Reader = os.Stdin
	from := "standard input"
	if c.File != "-" {
		from = c.File
		file, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	sent, err := send.Run(ctx, config, in)
	if err != nil {
		return fmt.Errorf("%s: %w (sent before: %s)", from, err, table.Of(sent, "record"))
	}
	_, err = fmt.Fprintf(s.out, "sent %s to %s\n", table.Of(sent, "record"), c.Topic)
	return err
}

func (c sendCommand) avro(ctx context.Context, registry string) (func(json.RawMessage) ([]byte, error), error) {
	schema, err := os.ReadFile(c.Schema)
	if err != nil {
		return nil, err
	}
	subject := c.Subject
	if subject == "" {
		subject = c.Topic + "-value"
	}
	encode, err := send.Avro(ctx, registry, subject, string(schema))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Schema, err)
	}
	return encode, nil
}
