// Command run does Waybill's main job on the sandbox and proves it: it starts sandbox, writer and ingest as separate
// processes, produces delivery events, kills the writer halfway, waits for the last row, and compares what Kafka holds
// with what the tables hold.
package main

import (
	"os"

	"github.com/waybill-data/waybill/pkg/cli"
)

func main() {
	const description = "The main job on the sandbox: produce, kill the writer once, verify. `make run` calls it."
	os.Exit(cli.Main("run", description, &command{}))
}
