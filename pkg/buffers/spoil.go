//go:build race

package buffers

// spoil overwrites a buffer that comes back.
func spoil(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = 0xdb
	}
}
