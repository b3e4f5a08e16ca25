package bench

import (
	"slices"
	"strings"
	"testing"
)

func TestVariants(t *testing.T) {
	for _, c := range []struct {
		name   string
		choice Choice
		want   int
		has    Variant
	}{
		{"overview", Choice{}, 4 + 6, Variant{Workload: "json-270", Lanes: 8, Codec: "none", LatencyMS: 100}},
		{
			"one workload",
			Choice{Workloads: []string{"avro-v6"}},
			1,
			Variant{Workload: "avro-v6", Lanes: 8, Codec: "none"},
		},
		{
			"one, narrowed", Choice{Workloads: []string{"avro-v6"}, Lanes: []int{1, 2}}, 2, Variant{
				Workload: "avro-v6", Lanes: 2, Codec: "none",
			},
		},
		{
			"all, narrowed",
			Choice{TLS: []bool{true}},
			4,
			Variant{Workload: "avro-stock", Lanes: 8, Codec: "none", TLS: true},
		},
		{
			"full", Choice{Full: true}, 4 * 3 * 3 * 2 * 2, Variant{
				Workload: "proto-270", Lanes: 32, Codec: "zstd", TLS: true, LatencyMS: 100,
			},
		},
		{
			"full of one codec", Choice{Full: true, Codecs: []string{"lz4"}}, 4 * 3 * 2 * 2, Variant{
				Workload: "proto-270", Lanes: 1, Codec: "lz4",
			},
		},
	} {
		got, err := c.choice.variants()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(got) != c.want || !slices.Contains(got, c.has) {
			t.Errorf("%s: %d variants, want %d with %v:\n%v", c.name, len(got), c.want, c.has, got)
		}
		seen := map[Variant]bool{}
		for _, v := range got {
			if seen[v] {
				t.Errorf("%s: %v twice", c.name, v)
			}
			seen[v] = true
		}
	}
}

func TestVariantsRefused(t *testing.T) {
	for _, c := range []struct {
		choice Choice
		want   string
	}{
		{Choice{Workloads: []string{"avro-v7"}}, "json-270, proto-270, avro-v6, avro-stock"},
		{Choice{Codecs: []string{"gzip"}}, "none, lz4 or zstd"},
		{Choice{Lanes: []int{0}}, "choose 1 to 1000"},
		{Choice{LatencyMS: []int{-1}}, "0 or more"},
	} {
		if _, err := c.choice.variants(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.choice, err, c.want)
		}
	}
}
