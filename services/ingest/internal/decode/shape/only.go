package shape

import "strings"

// only skips what is neither at one of the paths, nor below it, nor a record around it.
func only(n *Node, prefix string, paths []string) {
	if n.Kind != Record {
		return
	}
	for _, p := range n.Parts {
		at, keeps, around := prefix+p.Name, false, false
		for _, path := range paths {
			keeps = keeps || path == at || strings.HasPrefix(at, path+".")
			around = around || strings.HasPrefix(path, at+".")
		}
		switch {
		case keeps:
		case around:
			only(p, at+".", paths)
		default:
			p.Skip = true
		}
	}
}
