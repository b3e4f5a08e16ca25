//go:build !mutants

package mutant

// What each of them removes is written where it is tested for, and in docs/mutants.md.
const (
	ResidualDrop  = false
	AwaitedCommit = false
	Fence         = false
	RewindOrder   = false
	AlreadyExists = false
	LeftOut       = false
	Generation    = false
	Retired       = false
)
