package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/services/ingest"
)

type contractsTestCmd struct {
	service.File
	Files    []string `arg:"" optional:"" name:"FILE" help:"Sample payloads, one a file; - is standard input. Without any, the records that --topic holds."`
	Contract string   `placeholder:"NAME" help:"Read the samples by this contract, as ingest contracts list names it."`
	Topic    string   `placeholder:"NAME" help:"Read the samples as records of this topic, by the contract that takes --type. Without FILE, read its own records."`
	Type     string   `placeholder:"NAME" help:"The samples' type, as its header would say it."`
	Lines    bool     `help:"Each line of a FILE is a payload of its own."`
	Hex      bool     `xor:"text" help:"The samples are written in hex."`
	Base64   bool     `xor:"text" name:"base64" help:"The samples are written in base64."`
	Compact  bool     `help:"Print one row a line."`
	Whole    bool     `help:"Show the whole payload of a failure, not only the bytes around the fault."`
	Entries  string   `placeholder:"FILE" help:"Try the contracts of this file in place of those of the configuration."`
	sampled
}

// Validate is called by kong.
func (c *contractsTestCmd) Validate() error {
	if len(c.Files) == 0 && (c.Topic == "" || c.Contract != "" || c.Type != "") {
		return errors.New("name files with sample payloads, or --topic alone to try the records that it holds")
	}
	return c.sampled.validate()
}

// Help is shown below the flags.
func (contractsTestCmd) Help() string {
	return `Rows of sample files go to standard output, failures to standard error. Without --contract and --topic there
must be one contract. Of a topic with type_from: schema each sample says its own type, unless --type does.
The row has the present time as its time of ingestion, and the number of the sample as its offset.

With --topic and no FILE the topic's own records are tried, the last --limit of them: how many would become rows of
which table, how many dead letters and why, how many nothing. No group is joined, nothing is committed or sent. What
only BigQuery can tell, such as a column that the table has otherwise, ` + "`ingest contracts diff`" + ` tells.
Exit status 0: no sample, or record, is at fault; 1: some are.

Examples:
  ingest contracts test --topic orders --limit 1000
  ingest contracts test --topic orders --entries contracts.d/orders.yaml -o json
  ingest contracts test order.bin
  ingest contracts test --topic orders --type shop.OrderPlaced order.bin refund.bin
  ingest contracts test --contract stock.v1 --lines --base64 samples.txt --compact
  ingest dead-letters show orders/3/125 --out - | ingest contracts test --contract order -`
}

// Run decodes.
func (c *contractsTestCmd) Run(ctx context.Context, std cli.Streams) error {
	config, err := c.load()
	if err != nil {
		return err
	}
	if len(c.Files) == 0 {
		return c.live(ctx, config, std)
	}
	contracts, err := ingest.OpenContracts(ctx, config)
	if err != nil {
		return err
	}
	defer contracts.Close()
	reader, err := contracts.Reader(ingest.Choice{Contract: c.Contract, Topic: c.Topic, Type: c.Type})
	if err != nil {
		return err
	}
	for _, w := range reader.Warnings {
		fmt.Fprintf(std.Err, "warning: %s\n", clean(w))
	}
	rows, failed := 0, 0
	for _, name := range c.Files {
		samples, err := c.samples(name)
		if err != nil {
			return err
		}
		for _, s := range samples {
			row, err := c.row(ctx, reader, s, rows+failed)
			if errors.Is(err, ingest.ErrTombstone) {
				fmt.Fprintf(std.Err, "%s: %s\n", clean(s.where), clean(err.Error()))
				continue
			}
			if err != nil {
				failed++
				c.explain(std.Err, s, err)
				continue
			}
			rows++
			fmt.Fprintf(std.Out, "%s\n", row)
		}
	}
	fmt.Fprintf(std.Err, "%s: %s, %s\n", reader.Name(), plural(rows, "row", "rows"),
		plural(failed, "failure", "failures"))
	if failed > 0 {
		return cli.ErrFailed
	}
	return nil
}

// given is one payload and where it was read.
type given struct {
	where   string
	payload []byte
	err     error
}

func (c *contractsTestCmd) samples(name string) ([]given, error) {
	var all []byte
	var err error
	if name == "-" {
		name = "standard input"
		all, err = io.ReadAll(os.Stdin)
	} else {
		all, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("read samples: %w; name files that hold payloads, or - for standard input", err)
	}
	if !c.Lines {
		return []given{c.sample(name, all)}, nil
	}
	var samples []given
	for i, line := range bytes.Split(all, []byte("\n")) {
		if line = bytes.TrimSuffix(line, []byte("\r")); len(line) > 0 {
			samples = append(samples, c.sample(fmt.Sprintf("%s:%d", name, i+1), line))
		}
	}
	return samples, nil
}

func (c *contractsTestCmd) sample(where string, text []byte) given {
	s := given{where: where, payload: text}
	var encoding string
	switch {
	case c.Hex:
		encoding = "hex"
		s.payload, s.err = hex.DecodeString(string(dense(text)))
	case c.Base64:
		encoding = "base64"
		s.payload, s.err = base64.RawStdEncoding.DecodeString(string(bytes.TrimRight(dense(text), "=")))
	}
	if s.err != nil {
		s.err = fmt.Errorf("it is not %s: %w", encoding, s.err)
	}
	return s
}

// dense leaves spaces and line ends out.
func dense(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
}

func (c *contractsTestCmd) row(ctx context.Context, reader *ingest.Reader, s given, offset int) ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	indent := "  "
	if c.Compact {
		indent = ""
	}
	return reader.Row(ctx, s.payload, int64(offset), indent)
}

// explain prints why a sample is no row, and the bytes around the fault.
func (c *contractsTestCmd) explain(out io.Writer, s given, err error) {
	fmt.Fprintf(out, "%s: %s\n", clean(s.where), clean(err.Error()))
	var fault *ingest.DecodeError
	if !errors.As(err, &fault) || fault.Offset < 0 || fault.Offset > len(s.payload) || len(s.payload) == 0 {
		return
	}
	d := dump{value: s.payload, mark: fault.Offset, rows: 2}
	if c.Whole {
		d.rows = len(s.payload)
	}
	d.print(out)
	fmt.Fprintln(out)
}
