package writer

import (
	"context"
	"io"
	"time"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/version"
	"github.com/waybill-data/waybill/services/writer/internal/sink"
	"github.com/waybill-data/waybill/services/writer/internal/sink/livecheck"
)

// LiveCheck says which BigQuery to experiment with.
type LiveCheck struct {
	// Project and Dataset must exist.
	Project, Dataset string
	// Credentials is the path of a credentials file; empty: Application Default Credentials.
	Credentials string
	// GRPC and REST replace Google's endpoints; Insecure talks to them without TLS and credentials.
	GRPC, REST string
	Insecure   bool
	// SchemaWait bounds how long an added column may take to reach the Storage Write API.
	SchemaWait time.Duration
	// JSON writes an object a line, with check, verdict and seen.
	JSON bool
}

func (l *LiveCheck) bigquery() sink.Config {
	c := sink.Defaults()
	c.Project, c.Dataset, c.Credentials, c.Insecure = l.Project, l.Dataset, l.Credentials, l.Insecure
	c.Endpoint = sink.Endpoint{GRPC: l.GRPC, REST: l.REST}
	return c
}

// Run asks BigQuery whether it does what exactly once takes for granted, in a table of its own; it writes a line for
// each assumption and says whether all hold. It takes seconds, up to SchemaWait longer, and leaves nothing behind.
func (l *LiveCheck) Run(ctx context.Context, w io.Writer) (ok bool, err error) {
	c := l.bigquery()
	var problems config.Problems
	c.Check(func(key, message, remedy string) {
		problems = append(problems, config.Problem{Key: key, Message: message, Remedy: remedy})
	})
	if len(problems) > 0 {
		return false, problems
	}
	return livecheck.Run(ctx, livecheck.Config{
		BigQuery: c, Version: version.String(), SchemaWait: l.SchemaWait, JSON: l.JSON,
	}, w)
}
