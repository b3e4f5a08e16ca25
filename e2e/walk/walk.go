package walk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// progressEvery is how often a long walk says how far it is.
const progressEvery = 30 * time.Second

const modulePath = "github.com/waybill-data/waybill/"

// Walk is one walk over the conditions.
type Walk struct {
	Packages []Package
	// Only keeps the packages whose path contains it, and Files the files of those base names; empty keeps all.
	Only  string
	Files []string
	// Parallel is how many mutants run at a time, Limit what a run may take beyond five times what its tests took
	// unmutated.
	Parallel int
	Limit    time.Duration
	// Goal is the least share of the mutants that are not equivalent that must be killed, between 0 and 1.
	Goal float64
	// Skip is tests that are not run, by exact name: those that fuzz or wait on purpose.
	Skip []string
}

// Run walks and prints: a line for each survivor, a table by package, and as the last line the counts.
func (w Walk) Run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "waybill-walk-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	known, err := readEquivalents()
	if err != nil {
		return err
	}
	var all []judged
	for _, p := range w.Packages {
		if !strings.Contains(p.Path, w.Only) {
			continue
		}
		found, err := w.one(ctx, out, p, dir, known)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	if w.Only == "" && len(w.Files) == 0 {
		if stale := known.unused(); len(stale) > 0 {
			return fmt.Errorf("these equivalent mutants are not there any more, remove them from %s:\n  %s",
				equivalentsFile, strings.Join(stale, "\n  "))
		}
	}
	if err := w.show(out, all); err != nil {
		return err
	}
	return notEquivalent(all)
}

// one walks a package.
func (w Walk) one(ctx context.Context, out io.Writer, p Package, dir string, known equivalents) ([]judged, error) {
	start := time.Now()
	b, err := build(ctx, p, dir)
	if err != nil {
		return nil, err
	}
	skip := func(test string) bool { return slices.Contains(w.Skip, test) }
	shaky := func(test string) {
		fmt.Fprintf(out, "  %s: %s failed with nothing mutated, and passed then: it is left out\n", p.Name(), test)
	}
	if err := b.explore(ctx, w.Parallel, skip, shaky); err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "%s: %d mutants, %d tests, built and explored in %.0f s\n",
		p.Name(), len(b.mutants), len(b.tests), time.Since(start).Seconds())
	found := make([]judged, len(b.mutants))
	var wait sync.WaitGroup
	slots := make(chan struct{}, max(1, w.Parallel))
	first, reported := 0, time.Now()
	for i, m := range b.mutants {
		if m.Change == "true" {
			first = m.ID // a condition's first mutant
		}
		if len(w.Files) > 0 && !slices.Contains(w.Files, m.File) {
			continue
		}
		reason := known.reason(p, m)
		slots <- struct{}{}
		if time.Since(reported) > progressEvery {
			reported = time.Now()
			fmt.Fprintf(out, "  %s: %d of %d\n", p.Name(), i, len(b.mutants))
		}
		reached := first
		wait.Go(func() {
			defer func() { <-slots }()
			found[i] = b.judge(ctx, m, reached, w.Limit)
			if reason != "" {
				found[i] = b.doubted(ctx, found[i], reason, reached, w.Limit)
			}
		})
	}
	wait.Wait()
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	found = slices.DeleteFunc(found, func(j judged) bool { return j.Condition == "" })
	for _, j := range found {
		if j.fate == Survived || j.fate == Unreached {
			fmt.Fprintln(out, "  "+j.line())
		}
	}
	return found, nil
}

// show prints the table and the last line. A package that was asked for has a line for each of its files.
func (w Walk) show(out io.Writer, all []judged) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\npackage\tmutants\tkilled\tof them hung\tequivalent\tsurvived\tshare killed\t")
	line := func(name string, c tally) {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%.1f %%\t\n",
			name, c.mutants, c.killed, c.hung, c.equivalent, c.survived, 100*c.share())
	}
	var total tally
	for _, p := range w.Packages {
		var c tally
		files := map[string]tally{}
		for _, j := range all {
			if j.pkg.Path != p.Path {
				continue
			}
			c.add(j.fate)
			total.add(j.fate)
			f := files[j.File]
			f.add(j.fate)
			files[j.File] = f
		}
		if c.mutants == 0 {
			continue
		}
		line(p.Name(), c)
		if w.Only == "" {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(files)) {
			line(name, files[name])
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nwalk: mutants %d, killed %d, equivalent %d, survived %d\n",
		total.mutants, total.killed, total.equivalent, total.survived)
	if total.share() < w.Goal {
		return fmt.Errorf("%.1f %% of the mutants that are not equivalent are killed, the goal is %.0f %%: write the "+
			"tests that notice the lines above, "+
			"or say in %s why none can", 100*total.share(), 100*w.Goal, equivalentsFile)
	}
	return nil
}

// tally counts fates.
type tally struct{ mutants, killed, hung, equivalent, survived int }

func (t *tally) add(f Fate) {
	t.mutants++
	switch f {
	case Killed:
		t.killed++
	case Hung:
		t.killed++
		t.hung++
	case Equivalent:
		t.equivalent++
	default:
		t.survived++
	}
}

func (t tally) share() float64 {
	if t.mutants == t.equivalent {
		return 1
	}
	return float64(t.killed) / float64(t.mutants-t.equivalent)
}
