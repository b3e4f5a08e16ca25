package sink

import (
	"context"
	"errors"
	"fmt"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1"
)

// Clients makes the clients that a configuration asks for, plain and without retries, for talking to BigQuery outside a
// Sink. The caller closes both.
func Clients(ctx context.Context, c Config, version string) (*storage.BigQueryWriteClient, *bigquery.Client, error) {
	grpcOptions, restOptions, err := c.clientOptions(version)
	if err != nil {
		return nil, nil, err
	}
	write, err := dialer(ctx, grpcOptions)()
	if err != nil {
		return nil, nil, err
	}
	rest, err := bigquery.NewClient(ctx, c.Project, restOptions...)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a BigQuery client: %w", err), write.Close())
	}
	return write, rest, nil
}
