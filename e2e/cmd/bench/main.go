// Command bench measures what Waybill costs, compares two measurements, and computes what a larger load would need.
// `make bench` calls it.
package main

import (
	"os"

	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Run     runCmd     `cmd:"" default:"withargs" help:"Measure: rows, processor time, memory and latency, beside the floor. Writes bench.json. The default."`
	Compare compareCmd `cmd:"" help:"Compare two reports of one machine."`
	Linger  lingerCmd  `cmd:"" help:"Batches and latency at 1, 10 and 100 % load: how the linger adapts."`
	Memory  memoryCmd  `cmd:"" help:"The most memory that each service has, also with many lanes and while BigQuery does not respond. Writes memory.json."`
	Idle    idleCmd    `cmd:"" help:"What lanes cost that have nothing to do: goroutines, memory and processor time of thousands of partitions. Writes idle.json."`
	Cores   coresCmd   `cmd:"" help:"Throughput of the services on several cores against one, the sandbox's work apart. Writes cores.json. Linux."`
	Peer    peerCmd    `cmd:"" help:"Another program beside Waybill, by the same clock. Writes peer.json. Linux."`
	Scale   scaleCmd   `cmd:"" help:"What many partitions and a large load need, by the costs in a report."`
}

func main() {
	os.Exit(cli.Main("bench", "What Waybill costs on this machine.", &command{}))
}
