package bench

import (
	"bufio"
	"bytes"
	"strconv"
	"strings"
)

// parse reads the lines that `go test -bench` prints for BenchmarkFloor: a name, iterations, and pairs of value and
// unit. It returns the processor nanoseconds a row, by what follows the benchmark's name, such as "" or "/encoded".
func parse(text []byte) map[string]float64 {
	const benchmark, unit = "BenchmarkFloor", "cpu-ns/row"
	found := map[string]float64{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 {
			continue
		}
		name, ok := strings.CutPrefix(fields[0], benchmark)
		if i := strings.LastIndexByte(name, '-'); ok && i >= 0 {
			name = name[:i] // the number of processors, which Go appends when there are several
		}
		if !ok || name != "" && name[0] != '/' {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil && fields[i+1] == unit {
				found[name] = v
			}
		}
	}
	return found
}
