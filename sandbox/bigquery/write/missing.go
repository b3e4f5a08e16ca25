package write

import (
	"context"
	"strings"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"

	"github.com/waybill-data/waybill/sandbox/bigquery/defaults"
	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

const (
	unspecified = storagepb.AppendRowsRequest_MISSING_VALUE_INTERPRETATION_UNSPECIFIED
	byDefault   = storagepb.AppendRowsRequest_DEFAULT_VALUE
)

// fill gives the rows of a request the default values that they lack. A column that the writer's schema does not have
// gets its default value always (https://cloud.google.com/bigquery/docs/default-values); one that it has, and a row
// has not, as the request or the call says: null if neither does.
func (c *call) fill(r *request) ([]byte, error) {
	if r.whole != unspecified {
		c.missing = r.whole
	}
	if err := c.interpretable(r); err != nil {
		return nil, err
	}
	if len(c.schema.gaps) == 0 {
		return r.rows, nil
	}
	var gaps []row.Gap
	for _, gap := range c.schema.gaps {
		how := c.missing
		for name, said := range r.missing {
			if strings.EqualFold(name, gap.Column.Name) {
				how = said
			}
		}
		if how == byDefault || !gap.Known {
			gaps = append(gaps, gap)
		}
	}
	if len(gaps) == 0 {
		return r.rows, nil
	}
	// What was taken in is applied, whether its call goes on or not.
	values := defaults.Of(context.WithoutCancel(c.rpc.Context()), c.server.cfg.Engine)
	rows, err := c.schema.shape.Fill(r.rows, gaps, func(gap row.Gap) (any, error) { return values.Value(gap.Column) })
	if err != nil {
		return nil, &store.Error{
			Code: codes.InvalidArgument, Entity: c.stream.Name(), Message: err.Error() + " Entity: " + c.stream.Name(),
		}
	}
	return rows, nil
}

// interpretable refuses interpretations of no column, and those that say nothing.
func (c *call) interpretable(r *request) error {
	if c.server.cfg.Discard {
		return nil
	}
	for name, how := range r.missing {
		why := ""
		if _, column := row.Field(c.schema.shape.Columns(), name); column == nil {
			why = "is no top-level column of the table"
		} else if how == unspecified {
			why = "has an interpretation that is not specified"
		}
		if why != "" {
			return &store.Error{
				Code: codes.InvalidArgument, Entity: c.stream.Name(),
				Message: "missing_value_interpretations: " + name + " " + why + ". Entity: " + c.stream.Name(),
			}
		}
	}
	return nil
}
