package json

import (
	"strconv"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// take takes a value as it stands in the row, behind its tag.
func (d *Decoder) take(s *step, value []byte) (reason string) {
	v, n := decode.Varint(value, 0)
	if s.take&decode.TakeID != 0 {
		d.HasID = true
		if s.kind == shape.String || s.kind == shape.Enum || s.written {
			d.Text = append(d.Text[:0], value[n:]...)
		} else {
			d.Text = strconv.AppendInt(d.Text[:0], int64(v), 10)
		}
		d.ID = d.Text
	}
	if s.take&decode.TakeTime != 0 {
		unit := d.plan.options.EventTimeUnit
		if s.kind == shape.Timestamp {
			unit = decode.Micros
		}
		micros, ok := decode.ToMicros(int64(v), unit)
		return d.TakeTime(d.plan.options.Dates, micros, ok, int64(v) < 0, false)
	}
	return ""
}
