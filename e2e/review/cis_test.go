package review

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
)

// upTo are the items of benchmarks by section: how many each has.
func upTo(sections map[string]int) map[string]bool {
	out := map[string]bool{}
	for section, n := range sections {
		for i := range n {
			out[fmt.Sprintf("%s.%d", section, i+1)] = true
		}
	}
	return out
}

// numbered are the items that a text names, as 5.1.2 or 5.1 to 5.4. Their form has a group for the section and one for
// the number, and again for where a range ends.
func numbered(form *regexp.Regexp) func(string) []string {
	return func(text string) (out []string) {
		for _, m := range form.FindAllStringSubmatch(text, -1) {
			first, _ := strconv.Atoi(m[2])
			last := first
			if m[3] == m[1] {
				last, _ = strconv.Atoi(m[4])
			}
			for n := first; n <= last; n++ {
				out = append(out, fmt.Sprintf("%s.%d", m[1], n))
			}
		}
		return out
	}
}

// Each item of the CIS benchmarks that speaks of workloads or images is answered, by the numbers of the version named.
func TestReviewAnswersBenchmarks(t *testing.T) {
	answersEach(t, "CIS Kubernetes Benchmark 1.12.0, section 5",
		upTo(map[string]int{"5.1": 13, "5.2": 12, "5.3": 2, "5.4": 2, "5.5": 1, "5.6": 4}),
		numbered(regexp.MustCompile(`\b(\d\.\d)\.(\d+)(?: to (\d\.\d)\.(\d+))?`)))
	answersEach(t, "CIS Docker Benchmark 1.6.0, sections 4 and 5", upTo(map[string]int{"4": 12, "5": 32}),
		numbered(regexp.MustCompile(`\b(\d)\.(\d+)(?: to (\d)\.(\d+))?`)))
}
