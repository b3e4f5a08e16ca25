// Command model explores the lane protocol to its end within bounds: the law holds in every state, and breaks when a
// protection is taken away.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

func main() {
	var c command
	kong.Parse(&c, kong.Name("model"), kong.Description(
		"The lane protocol, explored exhaustively within bounds. `make model` calls it."))
	if err := c.run(os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "model: %v\n", err)
		os.Exit(1)
	}
}
