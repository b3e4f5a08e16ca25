package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Fast     bool     `help:"Only the scripts on the fake clock, no processes."`
	Only     string   `help:"Only this mutant." placeholder:"NAME"`
	Bin      string   `default:"bin" help:"Folder of the binaries as they are released: sandbox, writer and ingest." type:"path"`
	Parallel int      `default:"4" help:"Scenarios, or mutants of a walk, that run at the same time."`
	Walk     bool     `help:"Mutate each condition of the exactly-once path, one at a time, and run the tests of its package."`
	Package  string   `help:"Walk only the packages whose path contains this." placeholder:"TEXT"`
	File     []string `help:"Walk only the files of these names." placeholder:"NAME.go"`
}

// verdict is what became of one mutant.
type verdict struct {
	mutant
	// script and endToEnd say how it was killed; empty: it was not.
	script, endToEnd string
	took             time.Duration
	err              error
}

func (v *verdict) killed(fast bool) bool {
	return v.err == nil && v.script != "" && (fast || v.scenario == nil || v.endToEnd != "")
}

// Run plays the mutants chosen.
func (c *command) Run(ctx context.Context, std cli.Streams) (err error) {
	out := std.Out
	if c.Walk {
		return c.walk(ctx, out)
	}
	chosen := mutants
	if c.Only != "" {
		chosen = nil
		for _, m := range mutants {
			if m.name == c.Only {
				chosen = append(chosen, m)
			}
		}
		if chosen == nil {
			return fmt.Errorf("there is no mutant %q; there are %s", c.Only, names(mutants))
		}
	}
	dir, err := os.MkdirTemp("", "waybill-mutants-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && !c.Fast && ctx.Err() == nil {
			err = fmt.Errorf("%w\n  logs and data are in %s", err, dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()

	fmt.Fprintf(out, "Waybill without one of its protections at a time: %s\n\n", names(chosen))
	start := time.Now()
	b, err := build(ctx, dir, c.Bin, !c.Fast)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  built with the tag mutants in %.1f s\n", time.Since(start).Seconds())
	if err := b.controlScripts(ctx, out, chosen); err != nil {
		return err
	}
	if !c.Fast {
		if err := c.controlScenarios(ctx, out, b, chosen); err != nil {
			return err
		}
	}
	fmt.Fprintln(out)

	verdicts := make([]verdict, len(chosen))
	for i, m := range chosen {
		verdicts[i].mutant = m
		verdicts[i].script, verdicts[i].took, verdicts[i].err = b.killByScript(ctx, m)
	}
	if !c.Fast {
		c.atOnce(len(chosen), func(i int) {
			v := &verdicts[i]
			if v.err == nil {
				v.endToEnd, v.err = c.killEndToEnd(ctx, b, v.mutant)
			}
		})
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return c.show(out, verdicts)
}

// controlScenarios runs the real build through what the mutants will go through.
func (c *command) controlScenarios(ctx context.Context, out io.Writer, b *binaries, chosen []mutant) error {
	start := time.Now()
	var distinct []*scenario
	for _, m := range chosen {
		seen := m.scenario == nil
		for _, s := range distinct {
			seen = seen || s == m.scenario
		}
		if !seen {
			distinct = append(distinct, m.scenario)
		}
	}
	errs := make([]error, len(distinct))
	c.atOnce(len(distinct), func(i int) {
		s := distinct[i]
		found, err := s.play(ctx, b.dir, b.real, "")
		switch {
		case err != nil:
			errs[i] = fmt.Errorf("the released build, %s: %w", s.name, err)
		case found != "":
			errs[i] = fmt.Errorf("the released build, %s: verify says %s", s.name, found)
		}
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Fprintf(out, "  control: the released build has no mutant in it and passes the scenarios: %d (%.1f s)\n",
		len(distinct), time.Since(start).Seconds())
	return nil
}

// rounds are how often a mutant may get away before it counts as survived: what is end to end has timing in it.
const rounds = 3

// killEndToEnd lets a mutant loose until verify finds something.
func (c *command) killEndToEnd(ctx context.Context, b *binaries, m mutant) (string, error) {
	if m.scenario == nil {
		return "", nil
	}
	for range rounds {
		found, err := m.scenario.play(ctx, b.dir, b.mutated, m.name)
		if found != "" || err != nil {
			return found, err
		}
	}
	return "", nil
}

// atOnce calls f for 0 to n-1, a few at a time.
func (c *command) atOnce(n int, f func(i int)) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, max(1, c.Parallel))
	for i := range n {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wait.Wait()
}

// show prints the table and the last line.
func (c *command) show(out io.Writer, verdicts []verdict) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := []string{"mutant", "protection removed", "killed by script", "in"}
	if !c.Fast {
		head = append(head, "killed end to end", "verify says")
	}
	rule := make([]string, len(head))
	for i, h := range head {
		rule[i] = strings.Repeat("-", len(h))
	}
	fmt.Fprintln(t, strings.Join(head, "\t"))
	fmt.Fprintln(t, strings.Join(rule, "\t"))
	killed := 0
	var errs []error
	for i := range verdicts {
		v := &verdicts[i]
		if v.killed(c.Fast) {
			killed++
		}
		row := []string{v.name, v.removed, or(v.script, "SURVIVED"), fmt.Sprintf("%d ms", v.took.Milliseconds())}
		if !c.Fast {
			if v.scenario == nil {
				row = append(row, "(model)", "")
			} else {
				row = append(row, v.scenario.name, or(v.endToEnd, "SURVIVED"))
			}
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
		if v.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", v.name, v.err))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nmutants: caught %d of %d\n", killed, len(verdicts))
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if killed < len(verdicts) {
		return errors.New("a protection can be removed without anybody noticing: strengthen the test or the " +
			"scenario of the line above that says SURVIVED")
	}
	return nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func names(mutants []mutant) string {
	var all []string
	for _, m := range mutants {
		all = append(all, m.name)
	}
	return strings.Join(all, ", ")
}
