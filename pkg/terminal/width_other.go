//go:build !unix

package terminal

import "io"

// Width is the columns of the terminal that out is; 0 when it is none.
func Width(io.Writer) int { return 0 }
