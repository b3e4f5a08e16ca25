package livecheck

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/bigquery"
	"google.golang.org/protobuf/encoding/protowire"
)

// farMoments are what rows are dated that are far from today, in a table that is partitioned by it.
var farMoments = []string{
	"0001-01-01T00:00:00Z", "1900-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2099-12-31T00:00:00Z",
	"9999-12-31T23:59:59.999999Z",
}

// farDates appends rows far in the past and in the future to a table that is partitioned by their day. Nothing is
// assumed of it: what is seen is what a contract's dates have to settle.
func (b *bench) farDates(ctx context.Context) (seen string, err error) {
	other := &bench{write: b.write, rest: b.rest, version: b.version}
	other.table = b.rest.DatasetInProject(b.table.ProjectID, b.table.DatasetID).Table(b.table.TableID + "_by_day")
	err = other.table.Create(ctx, &bigquery.TableMetadata{
		Description:    "waybill writer live-check; safe to delete",
		ExpirationTime: time.Now().Add(24 * time.Hour),
		Schema: bigquery.Schema{
			{Name: "n", Type: bigquery.IntegerFieldType}, {Name: datedColumn, Type: bigquery.TimestampFieldType},
		},
		TimePartitioning: &bigquery.TimePartitioning{Field: datedColumn},
	})
	if err != nil {
		return "", fmt.Errorf("create a table partitioned by day: %w", err)
	}
	defer func() {
		if e := other.drop(ctx); err == nil {
			err = e
		}
	}()
	stream, err := other.stream(ctx)
	if err != nil {
		return "", err
	}
	var taken, refused []string
	for _, moment := range farMoments {
		at, err := time.Parse(time.RFC3339Nano, moment)
		if err != nil {
			return "", err
		}
		// A connection for each: a refusal may end one.
		c, err := other.connect(ctx, stream)
		if err != nil {
			return "", err
		}
		c.dated = true
		a := c.append(int64(len(taken)), [][]byte{dated(int64(len(taken)), at)})
		c.cancel()
		switch {
		case a.ok():
			taken = append(taken, moment)
		case a.away():
			return "", fmt.Errorf("append a row of %s: %s", moment, a)
		default:
			refused = append(refused, fmt.Sprintf("%s (%s)", moment, a))
		}
	}
	if n, err := other.finalize(ctx, stream); err != nil || n != int64(len(taken)) {
		return "", differs("%d rows were taken, the stream holds %d: %v", len(taken), n, err)
	}
	if len(refused) == 0 {
		return "in a table partitioned by day all are taken: " + strings.Join(taken, ", "), nil
	}
	return fmt.Sprintf("in a table partitioned by day %d of %d are taken; refused: %s: let dates of the contract "+
		"settle them",
		len(taken), len(farMoments), strings.Join(refused, "; ")), nil
}

// dated encodes a row of the table that is partitioned.
func dated(n int64, at time.Time) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, fieldN, protowire.VarintType), uint64(n))
	return protowire.AppendVarint(protowire.AppendTag(b, fieldDated, protowire.VarintType), uint64(at.UnixMicro()))
}
