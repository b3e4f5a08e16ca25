package tracing

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// complaints is an exporter whose failures the log tells, now and then.
type complaints struct {
	exporter sdk.SpanExporter
	log      *slog.Logger
	endpoint string

	mu   sync.Mutex
	lost int
	said time.Time
}

// ExportSpans implements sdk.SpanExporter.
func (c *complaints) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.exporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost += len(spans)
	if now := time.Now(); now.Sub(c.said) >= saysEvery {
		c.log.Warn("traces are lost: the collector does not take them; see tracing.endpoint", "endpoint", c.endpoint,
			"spans", c.lost, "error", err)
		c.said, c.lost = now, 0
	}
	return err
}

// Shutdown implements sdk.SpanExporter.
func (c *complaints) Shutdown(ctx context.Context) error { return c.exporter.Shutdown(ctx) }
