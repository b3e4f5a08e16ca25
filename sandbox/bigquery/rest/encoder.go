package rest

import (
	"context"

	"github.com/waybill-data/waybill/sandbox/bigquery/defaults"
	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// encoder turns the JSON rows of one request into rows of a table.
type encoder struct {
	columns    []*row.Column
	descriptor string
	shape      *row.Shape
	values     *defaults.Values
	// defaults are the columns whose default value a row gets that does not name them.
	defaults []*row.Column
	// ignore drops values without a column.
	ignore bool
}

func (a *api) newEncoder(ctx context.Context, t *store.Table) (*encoder, error) {
	if err := t.Writable(); err != nil {
		return nil, err
	}
	columns := t.Columns()
	descriptor, err := row.Descriptor(columns)
	if err != nil {
		return nil, err
	}
	shape, err := t.Shape(string(descriptor), columns)
	if err != nil {
		return nil, badRequest(err.Error())
	}
	return &encoder{
		columns: columns, descriptor: string(descriptor), shape: shape, values: defaults.Of(ctx, a.Engine),
		defaults: columns,
	}, nil
}

// encode gives a row's bytes, checked.
func (e *encoder) encode(object map[string]any) ([]byte, error) {
	if object == nil {
		object = map[string]any{}
	}
	if err := e.values.Complete(object, e.defaults); err != nil {
		return nil, err
	}
	b, err := row.Encode(e.columns, object, e.ignore)
	if err != nil {
		return nil, err
	}
	return b, e.shape.Check(b)
}
