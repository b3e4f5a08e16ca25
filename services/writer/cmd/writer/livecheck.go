package main

import (
	"context"
	"time"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/services/writer"
)

type liveCheckCmd struct {
	Project      string        `required:"" placeholder:"PROJECT" help:"Google Cloud project that holds the dataset and is billed."`
	Dataset      string        `required:"" placeholder:"DATASET" help:"Dataset that takes the table; it must exist."`
	Credentials  string        `placeholder:"FILE" help:"Credentials file (default: Application Default Credentials)."`
	EndpointGRPC string        `name:"endpoint-grpc" placeholder:"HOST:PORT" help:"Storage Write API, if not Google's."`
	EndpointREST string        `name:"endpoint-rest" placeholder:"URL" help:"BigQuery API, if not Google's."`
	Insecure     bool          `help:"Neither TLS nor credentials, for an emulator; needs both endpoints."`
	SchemaWait   time.Duration `default:"10m" help:"How long an added column may take to reach the Storage Write API (${default})."`
	Output       string        `short:"o" enum:"text,json" default:"text" help:"text, or json: one object a line."`
}

// Help is shown below the flags.
func (liveCheckCmd) Help() string {
	return `Creates a table waybill_live_check_TIME in the dataset, appends about 20 MB to it through a dozen write
streams, and deletes it. One line an experiment: "ok", "differs" with what was seen, or "failed" when it could not be
made. The account needs roles/bigquery.dataEditor on the dataset and
roles/bigquery.jobUser on the project. docs/exactly-once.md says what depends on each result.

Examples:
  writer live-check --project my-project --dataset scratch
  writer live-check --project my-project --dataset scratch --credentials key.json
  writer live-check --project sandbox --dataset waybill --insecure \
    --endpoint-grpc 127.0.0.1:19060 --endpoint-rest http://127.0.0.1:19050

Exit status: 0 all are ok, 1 one is not, 2 wrong usage.`
}

func (l *liveCheckCmd) Run(ctx context.Context, std cli.Streams) error {
	check := writer.LiveCheck{
		Project: l.Project, Dataset: l.Dataset, Credentials: l.Credentials,
		GRPC: l.EndpointGRPC, REST: l.EndpointREST, Insecure: l.Insecure, SchemaWait: l.SchemaWait,
		JSON: l.Output == "json",
	}
	ok, err := check.Run(ctx, std.Out)
	if err == nil && !ok {
		err = cli.ErrFailed
	}
	return err
}
