package stack

import (
	"context"
	"strings"

	"github.com/waybill-data/waybill/sandbox/verify"
)

// Verify compares what the stack's Kafka holds with its tables, offset by offset. Config says what else is wanted.
func (s *Stack) Verify(ctx context.Context, config verify.Config) (verify.Report, error) {
	config.Seeds, config.Admin = s.Seeds(), "http://"+s.Endpoints.Admin
	return verify.Run(ctx, config)
}

// Text is a report as a person reads it.
func Text(report verify.Report) string {
	var text strings.Builder
	_ = report.Print(&text) // a builder takes everything
	return text.String()
}

// Duplicates are records that are somewhere once too often: twice in a table, in a table and among the dead letters, or
// in a table without being in Kafka.
func Duplicates(t verify.Totals) int64 { return t.Duplicates + t.Both + t.Phantom }
