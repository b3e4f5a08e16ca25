package memory

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// unlimited is what version 1 says for "no limit", about: the largest number of whole pages.
const unlimited = 1 << 60

// limit reads the smallest limit of the process's control group and of those around it, versions 2 and 1 (cgroups(7)):
// memory.max, a number or "max", below /sys/fs/cgroup, and memory.limit_in_bytes below /sys/fs/cgroup/memory. What is
// not there limits nothing.
func limit(root fs.FS) (int64, bool) {
	membership, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	smallest := int64(unlimited)
	for line := range strings.Lines(string(membership)) {
		// hierarchy:controllers:path; version 2 is hierarchy 0 without controllers.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		folder, file := "sys/fs/cgroup", "memory.max"
		if parts[0] != "0" || parts[1] != "" {
			if !listed(parts[1], "memory") {
				continue
			}
			folder, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// In a container the path may be that of the host, which is not mounted: then its root is ours.
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			if n, ok := number(root, path.Join(folder, group, file)); ok {
				smallest = min(smallest, n)
			}
			if group == "/" {
				break
			}
		}
	}
	return smallest, smallest < unlimited
}

func listed(controllers, name string) bool {
	for c := range strings.SplitSeq(controllers, ",") {
		if c == name {
			return true
		}
	}
	return false
}

// number reads a limit; false when there is none.
func number(root fs.FS, name string) (int64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && n > 0
}
