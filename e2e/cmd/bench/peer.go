package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/waybill-data/waybill/e2e/bench"
)

type peerCmd struct {
	Bin      string   `default:"bin" help:"Folder of the binaries sandbox, writer and ingest (${default})." type:"path"`
	Workload string   `default:"json-270" enum:"json-270,proto-270" help:"json-270 or proto-270 (${default})."`
	Lanes    int      `default:"8" help:"Partitions of the topic (${default})."`
	Codec    string   `default:"none" enum:"none,lz4,zstd" help:"Compression in Kafka: none, lz4 or zstd (${default})."`
	Latency  int      `default:"0" help:"Latency of BigQuery's responses in milliseconds (${default})."`
	Runs     int      `default:"3" help:"Runs of each, in turns; figures are medians (${default})."`
	Rows     int64    `help:"Rows a run, instead of the workload's own number."`
	Name     string   `help:"The program's name in the report, instead of its file's."`
	Out      string   `default:"peer.json" help:"Where the report goes (${default})."`
	Command  []string `arg:"" passthrough:"" help:"The program and its arguments, behind --."`
}

// Help is shown below the flags.
func (peerCmd) Help() string {
	return `The program reads PEER_TOPIC from its start, as a consumer of the group PEER_GROUP, and appends every
record to PEER_TABLE. It runs until SIGTERM. First it moves 20,000 records into a table that is looked at, then it is
measured. Its environment says where everything is, without TLS and without credentials:

  PEER_KAFKA                                 a broker
  PEER_TOPIC, PEER_GROUP
  PEER_FORMAT                                json or protobuf
  PEER_BIGQUERY_GRPC                         host and port of the Storage Write API
  PEER_BIGQUERY_REST                         http://host:port of BigQuery's REST API
  PEER_PROJECT, PEER_DATASET, PEER_TABLE     a table with a column for each field of a parcel scan, in their order

Linux only.

Examples:
  bench peer -- bento run e2e/peers/bento.yaml
  bench peer --workload proto-270 -- bento run e2e/peers/bento.yaml
  bench peer --name script -- python3 e2e/peers/script.py`
}

// Run measures.
func (c *peerCmd) Run(ctx context.Context) error {
	command, name := c.program(), c.Name
	if name == "" && len(command) > 0 {
		name = filepath.Base(command[0])
	}
	p := bench.Peer{
		Name: name, Command: command, Workload: c.Workload, Lanes: c.Lanes, Codec: c.Codec, LatencyMS: c.Latency,
		Runs: c.Runs, Rows: c.Rows, Bin: c.Bin, Progress: os.Stderr,
	}
	report, err := p.Run(ctx)
	if err != nil {
		return err
	}
	return publish(report, c.Out)
}

// program is the command without the mark that ends our flags.
func (c *peerCmd) program() []string {
	if len(c.Command) > 0 && c.Command[0] == "--" {
		return c.Command[1:]
	}
	return c.Command
}
