package sandbox_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"cloud.google.com/go/bigquery"
	"google.golang.org/api/option"

	"github.com/waybill-data/waybill/sandbox"
	"github.com/waybill-data/waybill/sandbox/bigquery/fault"
	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/kafka"
)

// A test starts a sandbox of its own on free ports, points its clients at it, and looks at the rows in SQL.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "sandbox-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := sandbox.Start(ctx, sandbox.Config{
		Dir: dir, Topics: []kafka.Topic{{Name: "orders", Partitions: 4}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = s.Close() }()

	// Kafka is at s.Endpoints().Kafka, the Storage Write API at BigQueryGRPC, the registry at Registry; REST is where
	// this client goes.
	client, err := bigquery.NewClient(ctx, sandbox.Project, option.WithEndpoint(s.BigQuery.Addrs().Endpoint()),
		option.WithoutAuthentication())
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	table := client.Dataset(sandbox.Dataset).Table("orders")
	schema := bigquery.Schema{
		{Name: "id", Type: bigquery.IntegerFieldType}, {Name: "city", Type: bigquery.StringFieldType},
	}
	if err := table.Create(ctx, &bigquery.TableMetadata{Schema: schema}); err != nil {
		log.Fatal(err)
	}
	rows := "{\"id\": 1, \"city\": \"Porto\"}\n{\"id\": 2, \"city\": \"Braga\"}\n{\"id\": 3, \"city\": \"Porto\"}\n"
	source := bigquery.NewReaderSource(strings.NewReader(rows))
	source.SourceFormat = bigquery.JSON
	job, err := table.LoaderFrom(source).Run(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if status, err := job.Wait(ctx); err != nil || status.Err() != nil {
		log.Fatal(err, status)
	}
	_, err = s.BigQuery.Faults().Add(fault.Fault{Kind: fault.LostReply, Probability: 0.01}) // a bad day
	if err != nil {
		log.Fatal(err)
	}
	columns := func([]*row.Column) error { return nil }
	each := func(r row.Record) error { fmt.Println(r...); return nil }
	err = s.BigQuery.Query(ctx, "SELECT city, COUNT(*) AS n FROM orders GROUP BY 1 ORDER BY n DESC", columns, each)
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// Porto 2
	// Braga 1
}
