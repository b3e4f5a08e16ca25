package main

import (
	"fmt"
	"os"

	"github.com/waybill-data/waybill/e2e/bench"
)

type scaleCmd struct {
	From       string  `default:"bench.json" help:"Report with the costs (${default})." type:"path"`
	Workload   string  `default:"avro-v6" help:"Workload whose costs to take (${default})."`
	Partitions int     `default:"1000" help:"Partitions of all topics (${default})."`
	GB         float64 `name:"gb" default:"1" help:"10^9 bytes of record values a second, before compression (${default})."`
	Tables     int     `default:"1" help:"Tables that each partition has rows for (${default})."`
	Latency    float64 `default:"100" help:"Latency of BigQuery's responses in milliseconds (${default})."`
	Linger     float64 `default:"50" help:"batch.linger in milliseconds (${default}): longer means fewer, larger batches."`
	Budget     float64 `default:"128" help:"memory.budget of either service in MiB (${default})."`
	Region     string  `default:"multi" enum:"multi,single" help:"multi: the US or EU multi-region, 3 GB/s a project by default; single: any other, 300 MB/s (${default})."`
	Cores      float64 `default:"4" help:"Cores of a process (${default})."`
	Busy       float64 `default:"0.6" help:"Share of the cores that may be busy on average (${default})."`
}

// Run plans.
func (c *scaleCmd) Run() error {
	report, err := bench.Read(c.From)
	if err != nil {
		return fmt.Errorf("%w. Measure first: make bench", err)
	}
	quota := 3e9
	if c.Region == "single" {
		quota = 300e6
	}
	plan, err := bench.Scale(report, c.Workload, bench.Demand{
		Partitions: c.Partitions, BytesPerS: c.GB * 1e9, Tables: c.Tables, LatencyS: c.Latency / 1e3,
		LingerS:        c.Linger / 1e3,
		ThroughputPerS: quota, Cores: c.Cores, Busy: c.Busy, Budget: c.Budget * (1 << 20),
	})
	if err != nil {
		return err
	}
	return plan.Print(os.Stdout)
}
