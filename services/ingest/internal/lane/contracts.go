package lane

import (
	"context"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Contracts is what a lane needs of the contracts of its topic. One value serves one lane; it is not safe for
// concurrent use.
type Contracts interface {
	// Renew takes the contracts as they are now: what has grown since the last time. Called between calls only.
	Renew()
	// Routes are the tables that the topic's records go to; the same from one Renew to the next.
	Routes() []*lanev1.Route
	// Prepare makes Match and AppendRow ready for the records, and may wait for that. The lane's reader calls it, while
	// the owner uses the other methods. grown says that the contracts have more columns now and the records want them:
	// the lane drains and opens again. waits gets what is waited for, and the empty string afterwards. The error is
	// that of ctx.
	Prepare(ctx context.Context, records []record.Record, waits func(what string)) (grown bool, err error)
	// Fingerprint is that of the routing.
	Fingerprint() uint64
	// Match says what becomes of a record. The result holds until the next Match.
	Match(r *record.Record) *record.Match
	// AppendRow appends the framed row (tag 0x0a, length, row) of the record that Match saw last. On error dst is
	// returned as it was: the record is undecodable, and the error names the field or byte.
	AppendRow(dst []byte, r *record.Record, nowMicros int64) ([]byte, error)
}
