package bench

import (
	"encoding/json"
	"fmt"
	"os"
)

// Report is what bench.json holds.
type Report struct {
	Workloads []Result `json:"workloads"`
	Machine   Machine  `json:"machine"`
	// Runs is how many runs each figure is the median of.
	Runs int `json:"runs"`
}

// Machine is what the figures were measured on: those of two machines must not be compared.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
}

func (m Machine) String() string {
	return fmt.Sprintf("%s/%s, %d processors, %s", m.OS, m.Arch, m.CPUs, m.Go)
}

// Result is what moving one workload in one way takes. A figure that was not measured is null.
type Result struct {
	Name      string  `json:"name"`
	Lanes     int     `json:"lanes"`
	Codec     string  `json:"codec"`
	TLS       bool    `json:"tls"`
	LatencyMS int     `json:"bigquery_latency_ms"`
	RowsPerS  float64 `json:"rows_per_s"`
	// MBPerS counts 10^6 bytes of record values before compression.
	MBPerS float64 `json:"mb_per_s"`
	// CPU is processor seconds a million rows of whole processes, user and system, but for their start.
	CPU Costs `json:"cpu_s_per_million"`
	// FloorRatio is CPU.Total over Floor.Total.
	FloorRatio *float64 `json:"floor_ratio"`
	PeakRSS    Services `json:"peak_rss_mb"`
	// Settle is at full load.
	Settle *Settle `json:"settle_ms"`

	Rows int64 `json:"rows"`
	// RowBytes is the mean size of a record's value, OutBytes that of the row which BigQuery gets.
	RowBytes  float64  `json:"row_bytes"`
	OutBytes  float64  `json:"bigquery_row_bytes"`
	Allocated Services `json:"alloc_bytes_per_row"`
	StartCPU  Services `json:"start_cpu_s"`
	Floor     *Floor   `json:"floor_cpu_s_per_million,omitempty"`
	Loads     []Load   `json:"loads,omitempty"`
	// Spread is how far apart the runs were, by the names of the figures: (largest − smallest) / median. Empty for one
	// run.
	Spread map[string]float64 `json:"spread,omitempty"`
}

// Costs is processor time by service.
type Costs struct {
	Ingest float64 `json:"ingest"`
	Writer float64 `json:"writer"`
	Total  float64 `json:"total"`
}

// Services is a figure of each.
type Services struct {
	Ingest float64 `json:"ingest"`
	Writer float64 `json:"writer"`
}

func (s Services) minus(o Services) Services {
	return Services{s.Ingest - o.Ingest, s.Writer - o.Writer}
}
func (s Services) per(n float64) Services { return Services{s.Ingest / n, s.Writer / n} }
func (s Services) atLeastZero() Services  { return Services{max(0, s.Ingest), max(0, s.Writer)} }
func (s Services) costs() Costs           { return Costs{s.Ingest, s.Writer, s.Ingest + s.Writer} }

// Settle is the time from Kafka to settled in milliseconds. It is observed once a batch, of the batch's oldest row:
// single rows are rather quicker.
type Settle struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Floor is what the pieces of the way cost alone, in processor seconds a million rows.
type Floor struct {
	// Kafka is sarama draining the topic: the consuming end.
	Kafka float64 `json:"kafka"`
	// Decode is header to row, on one goroutine.
	Decode float64 `json:"decode"`
	// Hop is the rows over one gRPC hop: both ends.
	Hop float64 `json:"hop"`
	// BigQuery is Google's client sending encoded rows to the emulator: the sending end.
	BigQuery float64 `json:"bigquery"`
	// Total is their sum.
	Total float64 `json:"total"`
	// Messages is Google's client sending one byte slice a row, as its library has it; it is not in Total.
	Messages float64 `json:"bigquery_messages"`
}

// variant is the one that was measured.
func (r *Result) variant() Variant {
	return Variant{Workload: r.Name, Lanes: r.Lanes, Codec: r.Codec, TLS: r.TLS, LatencyMS: r.LatencyMS}
}

// Read reads a report.
func Read(path string) (Report, error) {
	var r Report
	text, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	if len(r.Workloads) == 0 {
		return r, fmt.Errorf("%s holds no workloads: is it a bench.json?", path)
	}
	return r, nil
}

// Write writes the report, whole or not at all.
func (r Report) Write(path string) error { return write(path, r) }
