//go:build !race

package placement

const slower = 1
