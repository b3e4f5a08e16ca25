//go:build race

package decode_test

// raced says whether these tests have the race detector, which multiplies time and memory.
const raced = true
