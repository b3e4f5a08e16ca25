//go:build mutants

package mutant

import "os"

// Variable is the environment variable that names the protection to remove.
const Variable = "WAYBILL_MUTANT"

// What each of them removes is written where it is tested for, and in docs/mutants.md.
var (
	ResidualDrop  = removed("residual-drop")
	AwaitedCommit = removed("awaited-commit")
	Fence         = removed("fence")
	RewindOrder   = removed("rewind-order")
	AlreadyExists = removed("already-exists")
	LeftOut       = removed("left-out")
	Generation    = removed("generation")
	Retired       = removed("retired-claim")
)

func removed(name string) bool { return os.Getenv(Variable) == name }
