//go:build !unix

package main

import "io"

// terminalWidth is the columns of the terminal that out is; 0 when it is none.
func terminalWidth(io.Writer) int { return 0 }
