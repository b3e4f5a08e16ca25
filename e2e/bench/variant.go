package bench

import (
	"fmt"
	"slices"
)

// Variant is a workload and the circumstances that it is moved under.
type Variant struct {
	Workload string
	// Lanes is the number of partitions.
	Lanes int
	// Codec compresses the batches in Kafka: none, lz4, zstd.
	Codec string
	// TLS secures Kafka, ingest to writer, and writer to BigQuery.
	TLS bool
	// LatencyMS is how long BigQuery takes to respond to an append, in milliseconds. Appends sent meanwhile are taken
	// in.
	LatencyMS int
}

// String names the variant in messages.
func (v Variant) String() string {
	text := fmt.Sprintf("%s, lanes %d, codec %s, BigQuery latency %d ms", v.Workload, v.Lanes, v.Codec, v.LatencyMS)
	if v.TLS {
		text += ", TLS"
	}
	return text
}

// Choice narrows what is measured. An empty list leaves it to the selection: all values of it for Full, those of the
// overview otherwise.
type Choice struct {
	Workloads, Codecs []string
	Lanes, LatencyMS  []int
	TLS               []bool
	// Full takes every combination.
	Full bool
}

// base is what each workload is measured under at least.
var base = Variant{Lanes: 8, Codec: "none"}

// around is what is varied, one thing at a time, on one of the workloads.
var around = []Variant{
	{Lanes: 1, Codec: "none"},
	{Lanes: 32, Codec: "none"},
	{Lanes: 8, Codec: "lz4"},
	{Lanes: 8, Codec: "zstd"},
	{Lanes: 8, Codec: "none", TLS: true},
	{Lanes: 8, Codec: "none", LatencyMS: 100},
}

// variants are those that the choice asks for. Without any choice: every workload at the base, the first one also
// around it. With one, the values that were named are combined, and what was not named stays as in the base.
func (c Choice) variants() ([]Variant, error) {
	for _, codec := range c.Codecs {
		if !slices.Contains([]string{"none", "lz4", "zstd"}, codec) {
			return nil, fmt.Errorf("codec %q: choose none, lz4 or zstd", codec)
		}
	}
	for _, n := range c.Lanes {
		if n < 1 || n > 1000 {
			return nil, fmt.Errorf("%d lanes: choose 1 to 1000", n)
		}
	}
	for _, n := range c.LatencyMS {
		if n < 0 {
			return nil, fmt.Errorf("a latency of %d ms: choose 0 or more", n)
		}
	}
	workloads, err := find(c.Workloads)
	if err != nil {
		return nil, err
	}
	narrowed := len(c.Codecs)+len(c.Lanes)+len(c.LatencyMS)+len(c.TLS) > 0
	if !narrowed && !c.Full {
		var all []Variant
		for _, w := range workloads {
			all = append(all, at(w, base))
		}
		if len(c.Workloads) == 0 {
			for _, v := range around {
				all = append(all, at(workloads[0], v))
			}
		}
		return all, nil
	}
	lanes, codecs, latencies, secured := []int{base.Lanes}, []string{base.Codec}, []int{base.LatencyMS},
		[]bool{base.TLS}
	if c.Full {
		lanes, codecs, latencies, secured = []int{1, 8, 32}, []string{"none", "lz4", "zstd"}, []int{0, 100},
			[]bool{false, true}
	}
	var all []Variant
	for _, w := range workloads {
		for _, n := range or(c.Lanes, lanes) {
			for _, codec := range or(c.Codecs, codecs) {
				for _, t := range or(c.TLS, secured) {
					for _, ms := range or(c.LatencyMS, latencies) {
						all = append(all, Variant{Workload: w.Name, Lanes: n, Codec: codec, TLS: t, LatencyMS: ms})
					}
				}
			}
		}
	}
	return all, nil
}

func at(w Workload, v Variant) Variant {
	v.Workload = w.Name
	return v
}

func or[T any](given, otherwise []T) []T {
	if len(given) > 0 {
		return given
	}
	return otherwise
}

// workload is the variant's.
func (v Variant) workload() Workload {
	all := Workloads()
	return all[slices.IndexFunc(all, func(w Workload) bool { return w.Name == v.Workload })]
}
