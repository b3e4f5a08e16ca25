package bench

import (
	"maps"
	"testing"
)

func TestParse(t *testing.T) {
	text := []byte(`goos: linux
BenchmarkFloor/encoded-4   	       1	 728320385 ns/op	         0.2742 alloc-B/row	       221.3 cpu-ns/row
BenchmarkFloor/messages-4  	       1	 726433052 ns/op	       412.8 cpu-ns/row
BenchmarkFloored-4         	       1	 726433052 ns/op	       9 cpu-ns/row
PASS
`)
	if got, want := parse(text), map[string]float64{"/encoded": 221.3, "/messages": 412.8}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// One processor: no suffix.
	if got := parse([]byte("BenchmarkFloor \t 1\t 95000 ns/op\t 95.5 cpu-ns/row\n")); !maps.Equal(got,
		map[string]float64{"": 95.5}) {
		t.Errorf("got %v", got)
	}
	if got := parse([]byte("BenchmarkOther-4 1 95000 ns/op 95.5 cpu-ns/row\n")); len(got) > 0 {
		t.Errorf("another benchmark's line was taken: %v", got)
	}
}
