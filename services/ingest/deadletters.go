package ingest

import (
	"context"
	"fmt"

	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// DeadLetters looks at the dead letters of the topics of a configuration and replays them. It takes no part in the
// group. Not safe for concurrent use.
type DeadLetters struct {
	*deadletter.Store
	schemas schemas
}

// OpenDeadLetters connects to the brokers of a configuration. topics are those to look at, each by its own name or by
// that of its dead-letter topic; none: all that have a contract. It is an error when no broker responds.
func OpenDeadLetters(ctx context.Context, c Config, topics []string) (*DeadLetters, error) {
	found, schemas := checkRegistry(ctx, &c)
	d, err := c.deadLetters(ctx, found, schemas, topics)
	if err != nil {
		schemas.close()
		return nil, err
	}
	return d, nil
}

func (c *Config) deadLetters(ctx context.Context, found []findings.Finding, s schemas, topics []string) (*DeadLetters,
	error,
) {
	set, err := c.contracts(ctx, s.env)
	if err != nil {
		return nil, fmt.Errorf("contracts: %w", err)
	}
	if len(topics) == 0 {
		if topics, err = source.ListTopics(ctx, c.source(), c.topicsOf(set)); err != nil {
			return nil, err
		}
	}
	away := ""
	for _, f := range found {
		if f.State == findings.Fail {
			away = f.Detail
		}
	}
	store, err := deadletter.Open(ctx, c.DeadLetter, &c.Kafka, set, away, topics)
	if err != nil {
		return nil, err
	}
	return &DeadLetters{store, s}, nil
}

// Close ends the connections.
func (d *DeadLetters) Close() {
	d.Store.Close()
	d.schemas.close()
}
