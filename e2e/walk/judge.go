package walk

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fate is what became of a mutant.
type Fate int

// The fates.
const (
	// Survived: all tests that reach the condition pass.
	Survived Fate = iota
	// Unreached: no test comes by the condition. It counts as survived.
	Unreached
	// Killed: a test fails.
	Killed
	// Hung: the tests did not end. It counts as killed.
	Hung
	// Equivalent: the list says why no test can tell it from the condition.
	Equivalent
)

// judged is a mutant and its fate.
type judged struct {
	Mutant
	pkg  Package
	fate Fate
	by   string
	took time.Duration
	// reason is why the list says that it is equivalent, though it is not.
	reason string
}

// judge runs the tests that reach the mutant's condition, the quickest first, until one fails. first is the condition's
// own number, under which it was reached.
func (b *built) judge(ctx context.Context, m Mutant, first int, limit time.Duration) judged {
	start := time.Now()
	j := judged{Mutant: m, pkg: b.Package, fate: Unreached}
	for _, some := range runs(b.reach[first]) {
		j.fate = Survived
		names := make([]string, len(some))
		expected := time.Duration(0)
		for i, t := range some {
			names[i] = regexp.QuoteMeta(t.name)
			expected += t.took
		}
		ctx, cancel := context.WithTimeout(ctx, limit+5*expected)
		cmd := exec.CommandContext(ctx, b.binary, append(slices.Clone(b.flags),
			"-test.failfast", "-test.run", "^("+strings.Join(names, "|")+")$")...)
		cmd.Dir = b.dir
		cmd.Env = append(cmd.Environ(), activeVariable+"="+strconv.Itoa(m.ID))
		cmd.WaitDelay = time.Second
		text, err := cmd.CombinedOutput()
		late := ctx.Err() != nil
		cancel()
		if late {
			j.fate = Hung
			break
		}
		if err != nil {
			j.fate, j.by = Killed, failed(string(text))
			break
		}
	}
	j.took = time.Since(start)
	return j
}

// doubted is the fate of a mutant that is said to be equivalent: that, unless tests tell it from the code, twice.
func (b *built) doubted(ctx context.Context, j judged, reason string, first int, limit time.Duration) judged {
	if j.fate == Killed || j.fate == Hung {
		j = b.judge(ctx, j.Mutant, first, limit)
	}
	if j.fate == Killed || j.fate == Hung {
		j.reason = reason
		return j
	}
	j.fate, j.by = Equivalent, reason
	return j
}

// notEquivalent is the error of those that are said to be equivalent and are not.
func notEquivalent(all []judged) error {
	var wrong []string
	for _, j := range all {
		if j.reason != "" {
			wrong = append(wrong, fmt.Sprintf("%s %s: %s by %s, said to be equivalent because %s",
				j.pkg.Name(), j.Key(), j.fate, j.by, j.reason))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("tests tell these from the code, remove them from %s:\n  %s",
		equivalentsFile, strings.Join(wrong, "\n  "))
}

// runs splits the tests, the quickest first, into runs that take ever longer: most mutants die of a quick test, and
// starting a process for each test would cost more than it saves.
func runs(tests []timed) [][]timed {
	var all [][]timed
	limit := 100 * time.Millisecond
	for len(tests) > 0 {
		n, sum := 0, time.Duration(0)
		for n < len(tests) && (n == 0 || sum+tests[n].took <= limit) {
			sum += tests[n].took
			n++
		}
		all = append(all, tests[:n])
		tests = tests[n:]
		limit *= 4
	}
	return all
}

var failure = regexp.MustCompile(`--- FAIL: (\S+)`)

// failed names the test that failed.
func failed(output string) string {
	if m := failure.FindStringSubmatch(output); m != nil {
		return m[1]
	}
	if strings.Contains(output, "panic:") {
		return "a panic"
	}
	return "its end"
}

func (f Fate) String() string {
	return [...]string{"survived", "unreached", "killed", "hung", "equivalent"}[f]
}

// line is a survivor as it is shown.
func (j judged) line() string {
	return fmt.Sprintf("%-9s  %s/%s:%d  %s  %s => %s", j.fate, j.pkg.Path, j.File, j.Line, j.Func, j.Condition,
		j.Change)
}
