package write

import (
	"sync"
	"sync/atomic"
	"time"
)

// Stats is what the Storage Write API has done since it started.
type Stats struct {
	// Appends, Rows and Bytes were taken; Bytes counts encoded rows. Refused appends were not.
	Appends int64 `json:"appends"`
	Rows    int64 `json:"rows"`
	Bytes   int64 `json:"bytes"`
	Refused int64 `json:"appends_refused"`
	// RowErrors are rows refused one by one.
	RowErrors        int64 `json:"row_errors"`
	StreamsCreated   int64 `json:"streams_created"`
	StreamsFinalized int64 `json:"streams_finalized"`
	// Connections are the TCP connections open now, Calls the AppendRows calls open now; the totals count all there
	// ever were.
	Connections      int64 `json:"connections"`
	ConnectionsTotal int64 `json:"connections_total"`
	Calls            int64 `json:"append_calls"`
	CallsTotal       int64 `json:"append_calls_total"`
	// The rates are means over the last ten whole seconds.
	AppendsPerSecond float64 `json:"appends_per_second"`
	RowsPerSecond    float64 `json:"rows_per_second"`
	BytesPerSecond   float64 `json:"bytes_per_second"`
	CreatesPerSecond float64 `json:"creates_per_second"`
}

type counters struct {
	appends, rows, bytes, refused, rowErrors atomic.Int64
	created, finalized                       atomic.Int64
	connections, connectionsTotal            atomic.Int64
	calls, callsTotal                        atomic.Int64
	appendRate, rowRate, byteRate            rate
	createRate                               rate
}

func (c *counters) snapshot() Stats {
	return Stats{
		Appends: c.appends.Load(), Rows: c.rows.Load(), Bytes: c.bytes.Load(), Refused: c.refused.Load(),
		RowErrors: c.rowErrors.Load(), StreamsCreated: c.created.Load(), StreamsFinalized: c.finalized.Load(),
		Connections: c.connections.Load(), ConnectionsTotal: c.connectionsTotal.Load(), Calls: c.calls.Load(),
		CallsTotal: c.callsTotal.Load(), AppendsPerSecond: c.appendRate.mean(), RowsPerSecond: c.rowRate.mean(),
		BytesPerSecond:   c.byteRate.mean(),
		CreatesPerSecond: c.createRate.mean(),
	}
}

func (c *counters) took(rows, bytes int) {
	now := time.Now().Unix()
	c.appends.Add(1)
	c.rows.Add(int64(rows))
	c.bytes.Add(int64(bytes))
	c.appendRate.add(now, 1)
	c.rowRate.add(now, int64(rows))
	c.byteRate.add(now, int64(bytes))
}

const rateSeconds = 10

// rate sums a number by the second, for a little longer than it averages over.
type rate struct {
	mu     sync.Mutex
	second [rateSeconds + 1]int64
	sum    [rateSeconds + 1]int64
}

func (r *rate) add(second, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := second % int64(len(r.sum))
	if r.second[i] != second {
		r.second[i], r.sum[i] = second, 0
	}
	r.sum[i] += n
}

func (r *rate) mean() float64 {
	now := time.Now().Unix()
	r.mu.Lock()
	defer r.mu.Unlock()
	var sum int64
	for i, second := range r.second {
		if second < now && second >= now-rateSeconds {
			sum += r.sum[i]
		}
	}
	return float64(sum) / rateSeconds
}
