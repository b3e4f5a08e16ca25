package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/waybill-data/waybill/e2e/bench"
)

// where is the flags of every command that measures.
type where struct {
	Bin  string `default:"bin" help:"Folder of the binaries sandbox, writer and ingest (${default})." type:"path"`
	Root string `default:"." help:"Folder of the source, for the floor (${default})." type:"path"`
}

type runCmd struct {
	where
	Workload []string      `help:"Workloads: json-270, proto-270, avro-v6, avro-stock. All of them by default."`
	Lanes    []int         `help:"Numbers of lanes, that is partitions."`
	Codec    []string      `help:"Compression in Kafka: none, lz4, zstd."`
	TLS      []string      `name:"tls" help:"on, off, or both: TLS from Kafka to BigQuery."`
	Latency  []int         `help:"Latencies of BigQuery's responses in milliseconds."`
	Matrix   string        `default:"" enum:",overview,full" help:"full: every combination of 1, 8 and 32 lanes, codecs, TLS, and 0 and 100 ms: 144 variants, fifteen times the overview. Otherwise each workload at 8 lanes, and the first also around that."`
	Runs     int           `default:"1" help:"Runs of each; figures are medians. 5 for a claim."`
	Rows     int64         `help:"Rows a run, instead of each workload's own number."`
	Live     time.Duration `default:"3s" help:"How long each load of the latency phase lasts; 0 leaves latency out."`
	Loads    []float64     `help:"Shares of the full load to measure latency at, beside the full load."`
	NoFloor  bool          `help:"Leave the floor out."`
	Profile  string        `help:"File for a profile of both services' processor time in all runs. It costs a little itself." type:"path" placeholder:"FILE"`
	Out      string        `default:"bench.json" help:"Where the report goes (${default})."`
}

// Help is shown below the flags.
func (runCmd) Help() string {
	return `Lists take commas. What is named is combined, what is not stays as it is: 8 lanes, no compression,
no TLS, no latency.

Examples:
  bench                                     # the overview, some four minutes
  bench --workload avro-v6 --lanes 1,8,32
  bench --workload json-270 --runs 5 --latency 0,100 --loads 0.1,0.01`
}

// Run measures.
func (c *runCmd) Run(ctx context.Context) error {
	secured, err := onOff(c.TLS)
	if err != nil {
		return err
	}
	for _, share := range c.Loads {
		if share <= 0 || share >= 1 {
			return fmt.Errorf("--loads %g: shares of the full load are between 0 and 1", share)
		}
	}
	if c.Live < 0 {
		return errors.New("--live must not be negative")
	}
	b := bench.Bench{
		Choice: bench.Choice{
			Workloads: c.Workload, Lanes: c.Lanes, Codecs: c.Codec, TLS: secured, LatencyMS: c.Latency,
			Full: c.Matrix == "full",
		},
		Runs: c.Runs, Rows: c.Rows, Live: c.Live, Loads: c.Loads, Floor: !c.NoFloor, Bin: c.Bin, Root: c.Root,
		Profile: c.Profile, Progress: os.Stderr,
	}
	report, err := b.Run(ctx)
	if err != nil {
		return err
	}
	return publish(&report, c.Out)
}

// publish prints a report and writes it to a file.
func publish(report interface {
	Print(w io.Writer) error
	Write(path string) error
}, path string,
) error {
	if err := report.Print(os.Stdout); err != nil {
		return err
	}
	if err := report.Write(path); err != nil {
		return err
	}
	fmt.Printf("\nwritten to %s\n", path)
	return nil
}

// onOff reads the values of --tls.
func onOff(words []string) ([]bool, error) {
	var values []bool
	for _, w := range words {
		switch strings.ToLower(w) {
		case "on", "true", "1", "yes":
			values = append(values, true)
		case "off", "false", "0", "no":
			values = append(values, false)
		case "both":
			values = append(values, false, true)
		default:
			return nil, fmt.Errorf("--tls %s: say on, off or both", w)
		}
	}
	return values, nil
}
