package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// stage is one piece of the way, measured alone.
type stage struct {
	name, workload string
	nsRow          float64
	mbs            float64
	allocsRow      float64
}

// pieces are the benchmarks that stand for stages. Each one reports ns/row and allocs/row, and has a sub-benchmark for each workload.
var pieces = []struct{ module, pkg, benchmark, name string }{
	{"services/ingest", "./internal/contract", "BenchmarkAppendRow", "decode (header to row)"},
	{"services/ingest", "./internal/lane", "BenchmarkLane", "ingest lane (batch, window, gRPC, both ends)"},
	{"services/writer", "./internal/lane", "BenchmarkLane", "writer lane (gRPC, both ends)"},
	{"services/writer", "./internal/sink", "BenchmarkSink", "sink (AppendRows, both ends)"},
}

// stages runs the benchmarks of the stages.
func (c *command) stages(ctx context.Context) ([]stage, error) {
	var all []stage
	for _, p := range pieces {
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^"+p.benchmark+"$", "-benchtime", c.BenchTime.String(), p.pkg)
		cmd.Dir = filepath.Join(c.Root, p.module)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		text, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("stage %s: %w\n%s%s", p.name, err, text, &errs)
		}
		found := parse(text, p.benchmark, p.name)
		if len(found) == 0 {
			return nil, fmt.Errorf("stage %s: %s in %s/%s printed no ns/row:\n%s", p.name, p.benchmark, p.module, p.pkg, text)
		}
		all = append(all, found...)
	}
	return all, nil
}

// parse reads the lines of `go test -bench`: a name, iterations, and pairs of value and unit.
func parse(text []byte, benchmark, name string) []stage {
	var found []stage
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], benchmark+"/") {
			continue
		}
		workload, _, _ := strings.Cut(strings.TrimPrefix(fields[0], benchmark+"/"), "-")
		s := stage{name: name, workload: workload}
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				continue
			}
			switch fields[i+1] {
			case "ns/row":
				s.nsRow = v
			case "MB/s":
				s.mbs = v
			case "allocs/row":
				s.allocsRow = v
			}
		}
		if s.nsRow > 0 {
			found = append(found, s)
		}
	}
	return found
}
