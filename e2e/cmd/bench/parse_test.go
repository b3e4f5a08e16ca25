package main

import "testing"

func TestParse(t *testing.T) {
	text := []byte("goos: linux\nBenchmarkLane/stock-4   \t 1200\t 95000 ns/op\t 310.5 MB/s\t 0.0021 allocs/row\t 95.0 ns/row\t 12 B/op\t 1 allocs/op\nPASS\n")
	got := parse(text, "BenchmarkLane", "lane")
	want := stage{name: "lane", workload: "stock", nsRow: 95, mbs: 310.5, allocsRow: 0.0021}
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := parse(text, "BenchmarkOther", "other"); got != nil {
		t.Errorf("another benchmark's line was taken: %+v", got)
	}
}
