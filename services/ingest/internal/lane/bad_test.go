package lane

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// faulty are contracts that no record meets.
type faulty struct {
	Contracts
	err error
}

func (f faulty) Match(*record.Record) *record.Match { return &record.Match{Name: "order"} }

func (f faulty) AppendRow(dst []byte, _ *record.Record, _ int64) ([]byte, error) { return dst, f.err }

// A dead letter says where the fault is when the contract knows, and does not make a place up when it does not.
func TestLetterNamesTheFault(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		field  string
		offset int
	}{
		"a place": {
			&decode.Error{Contract: "order", Field: "order.items[3].id", Offset: 17, Reason: "ends"},
			"order.items[3].id", 17,
		},
		"wrapped":       {fmt.Errorf("row: %w", &decode.Error{Field: "order", Offset: 0}), "order", 0},
		"not in bytes":  {&decode.Error{Field: "kafka_headers[1].key", Offset: -1}, "kafka_headers[1].key", -1},
		"another error": {errors.New("no"), "", -1},
	} {
		t.Run(name, func(t *testing.T) {
			b := &builder{
				contracts: faulty{err: tt.err}, budget: NewBudget(1 << 20).Account("orders"),
				limits: limits{batchRows: 10, batchBytes: 1 << 20},
				routes: 1, replay: replay{remaining: make([]uint64, 1)},
			}
			if taken, err := b.take(&record.Record{Offset: 4}, time.Now()); !taken || err != nil {
				t.Fatal(taken, err)
			}
			l := b.finish(1).letters()[0]
			if l.Field != tt.field || l.Byte != tt.offset || l.Err != tt.err.Error() || l.Reason != "undecodable" ||
				l.Contract != "order" {
				t.Errorf("%+v", l)
			}
		})
	}
}
