// Command model explores the lane protocol to its end within bounds: the law holds in every state, and breaks when a
// protection is taken away.
package main

import (
	"os"

	"github.com/waybill-data/waybill/pkg/cli"
)

func main() {
	const description = "The lane protocol, explored exhaustively within bounds. `make model` calls it."
	os.Exit(cli.Main("model", description, &command{}))
}
