package walk

import "fmt"

const (
	// activeVariable names the mutant of the process, reachedVariable the file that takes the conditions it came by.
	activeVariable  = "WAYBILL_WALK"
	reachedVariable = "WAYBILL_WALK_REACHED"
	helperFile      = "walk_conditions.go"
)

// helper is the file added to a mutated package: what a wrapped condition calls, and the note of what was reached.
func helper(pkg string, first, count int) []byte {
	return fmt.Appendf(nil, `package %s

import (
	walkos "os"
	walkstrconv "strconv"
	walkatomic "sync/atomic"
)

var (
	walkActive  = func() int { n, err := walkstrconv.Atoi(walkos.Getenv(%q)); if err != nil { return -1 }; return n }()
	walkFile    = walkos.Getenv(%q)
	walkReached [%d]walkatomic.Bool
)

// walkAt is the condition as it is, or as the mutant of this process has it.
func walkAt(id, changes int, is, moved bool) bool {
	if walkActive >= id && walkActive < id+changes {
		switch walkActive - id {
		case 0:
			return true
		case 1:
			return false
		default:
			return moved
		}
	}
	if walkFile != "" && !walkReached[id-%d].Swap(true) {
		walkNote(id)
	}
	return is
}

func walkNote(id int) {
	f, err := walkos.OpenFile(walkFile, walkos.O_APPEND|walkos.O_CREATE|walkos.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.WriteString(walkstrconv.Itoa(id) + "\n"); err != nil {
		panic(err)
	}
}
`, pkg, activeVariable, reachedVariable, count, first)
}
