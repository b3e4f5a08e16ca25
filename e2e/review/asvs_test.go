package review

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// levelOne are the items of level 1 of OWASP's Application Security Verification Standard 4.0.3, by section: the
// numbers that it has, without those that the standard deleted.
var levelOne = map[string][]int{
	"2.1": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, "2.2": {1, 2, 3}, "2.3": {1}, "2.5": {1, 2, 3, 4, 5, 6},
	"2.7": {1, 2, 3, 4}, "2.8": {1},
	"3.1": {1}, "3.2": {1, 2, 3}, "3.3": {1, 2}, "3.4": {1, 2, 3, 4, 5}, "3.7": {1},
	"4.1": {1, 2, 3, 5}, "4.2": {1, 2}, "4.3": {1, 2},
	"5.1": {1, 2, 3, 4, 5}, "5.2": {1, 2, 3, 4, 5, 6, 7, 8}, "5.3": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
	"5.5": {1, 2, 3, 4},
	"6.2": {1},
	"7.1": {1, 2}, "7.4": {1},
	"8.2": {1, 2, 3}, "8.3": {1, 2, 3, 4},
	"9.1":  {1, 2, 3},
	"10.3": {1, 2, 3},
	"11.1": {1, 2, 3, 4, 5},
	"12.1": {1}, "12.3": {1, 2, 3, 4, 5}, "12.4": {1, 2}, "12.5": {1, 2}, "12.6": {1},
	"13.1": {1, 3}, "13.2": {1, 2, 3}, "13.3": {1},
	"14.2": {1, 2, 3}, "14.3": {2, 3}, "14.4": {1, 2, 3, 4, 5, 6, 7}, "14.5": {1, 2, 3},
}

// items are those that a text names: 4.1.2, 2.1.1 to 2.1.12, or 12.3.x for all of a section.
func items(text string) (out []string) {
	form := regexp.MustCompile(`\b(\d+\.\d+)\.(?:(x)|(\d+)(?: to (\d+\.\d+)\.(\d+))?)`)
	for _, m := range form.FindAllStringSubmatch(text, -1) {
		section, first, last := m[1], m[3], m[3]
		switch {
		case m[2] != "":
			for _, n := range levelOne[section] {
				out = append(out, fmt.Sprintf("%s.%d", section, n))
			}
			continue
		case m[4] == section:
			last = m[5]
		}
		from, _ := strconv.Atoi(first)
		to, _ := strconv.Atoi(last)
		for n := from; n <= to; n++ {
			out = append(out, fmt.Sprintf("%s.%d", section, n))
		}
	}
	return out
}

// Each item of level 1 is answered, or said to ask for what is not here, and no line answers one that level 1 has not.
func TestReviewAnswersLevelOne(t *testing.T) {
	wanted := map[string]bool{}
	for section, numbers := range levelOne {
		for _, n := range numbers {
			wanted[fmt.Sprintf("%s.%d", section, n)] = true
		}
	}
	answersEach(t, "OWASP ASVS, level 1", wanted, items)
}

// answersEach holds a list of docs/security.md to the items that it has to answer, each once, in a line of its table
// or in one that says why it does not ask for anything here. items are those that the beginning of a line names.
func answersEach(t *testing.T, heading string, wanted map[string]bool, items func(string) []string) {
	t.Helper()
	_, review, found := strings.Cut(page(t, "docs/security.md"), "\n### "+heading+"\n")
	if !found {
		t.Fatalf("docs/security.md has no list %q", heading)
	}
	review, _, _ = strings.Cut(review, "\n### ")
	answered := map[string]int{}
	for line := range strings.Lines(review) {
		switch first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | "); {
		case strings.HasPrefix(line, "| "):
			line = first
		case strings.HasPrefix(line, "- "):
			line, _, _ = strings.Cut(line, ":")
		default:
			continue
		}
		for _, item := range items(line) {
			answered[item]++
			if !wanted[item] {
				t.Errorf("%s: there is no item %s", heading, item)
			}
		}
	}
	for item := range wanted {
		if n := answered[item]; n != 1 {
			t.Errorf("%s: %s is answered %d times", heading, item, n)
		}
	}
}
