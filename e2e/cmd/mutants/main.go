// Command mutants shows that the tests would notice if a protection of exactly-once were missing. It builds the
// services with the build tag `mutants`, in which one environment variable removes one protection, and runs each mutant
// against a script on the fake clock and against real processes on the sandbox. A mutant that nothing kills is a hole
// in the tests, and so is a scenario that the real build fails.
package main

import (
	"os"

	"github.com/waybill-data/waybill/pkg/cli"
)

func main() {
	const description = "Removes one protection at a time and shows that the tests notice. `make mutants` calls it."
	os.Exit(cli.Main("mutants", description, &command{}))
}
