package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/waybill-data/waybill/e2e/model"
	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Only  string `help:"Explore only the cases whose name contains this."`
	Brief bool   `help:"Leave out the steps of the counterexamples."`
}

const row = "  %-38s %-6s %5v %6v %8v %6v %6v %10v %11v %9v %5v %7v\n"

// Run explores the cases chosen.
func (c *command) Run(std cli.Streams) error {
	out := std.Out
	proof, mutants := c.choose(model.Proof()), c.choose(model.Mutants())
	if len(proof)+len(mutants) == 0 {
		return fmt.Errorf("no case is named like %q", c.Only)
	}
	states, held := 0, 0
	if len(proof) > 0 {
		fmt.Fprintf(out, "The law, in every state. A and B are records by table, - undecodable, ! refused by "+
			"BigQuery.\n\n")
		fmt.Fprintf(out, row, "case", "log", "batch", "window", "openings", "losses", "rests", "states", "transitions",
			"finished", "depth", "time")
		for i := range proof {
			k := &proof[i]
			r := k.Explore()
			states += r.States
			fmt.Fprintf(out, row, k.Name, k, k.Batch, k.Window, fmt.Sprintf("%d in %d", k.Opens, k.Generations),
				k.Losses, k.Rests, r.States, r.Transitions, r.Finished, r.Depth, r.Took.Round(10*time.Millisecond))
			switch {
			case r.Broken != "":
				trace(out, &r)
			case r.Finished == 0:
				fmt.Fprintf(out, "    no state has passed the whole log: nothing is shown\n")
			default:
				held++
			}
		}
		fmt.Fprintf(out, "\n  openings: how often an owner opens, in how many generations; at most two owners live "+
			"at a time, either half may die at any step\n")
	}
	found := 0
	for i := range mutants {
		m := &mutants[i]
		r := m.Explore()
		if r.Broken == "" {
			fmt.Fprintf(out, "\nWithout: %s (log %s): NO counterexample in %d states\n", m.Name, m, r.States)
			continue
		}
		found++
		fmt.Fprintf(out, "\nWithout: %s (log %s): %d steps, found after %d states\n", m.Name, m, len(r.Trace), r.States)
		if !c.Brief {
			trace(out, &r)
		}
	}
	law := "law holds"
	if held < len(proof) {
		law = fmt.Sprintf("law BROKEN in %d of %d cases", len(proof)-held, len(proof))
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	fmt.Fprintf(out, "\nmemory taken from the system: %d MiB\n", memory.Sys>>20)
	fmt.Fprintf(out, "model: %d states, %s; counterexamples %d of %d\n", states, law, found, len(mutants))
	if held < len(proof) || found < len(mutants) {
		return fmt.Errorf("%s; counterexamples %d of %d", law, found, len(mutants))
	}
	return nil
}

func (c *command) choose(cases []model.Case) []model.Case {
	var chosen []model.Case
	for _, k := range cases {
		if strings.Contains(k.Name, c.Only) {
			chosen = append(chosen, k)
		}
	}
	return chosen
}

func trace(out io.Writer, r *model.Report) {
	for i, line := range r.Trace {
		fmt.Fprintf(out, "  %4d  %s\n", i+1, line)
	}
	fmt.Fprintf(out, "        => %s\n", r.Broken)
}
