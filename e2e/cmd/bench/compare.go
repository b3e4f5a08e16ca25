package main

import (
	"os"

	"github.com/waybill-data/waybill/e2e/bench"
)

type compareCmd struct {
	Before string `arg:"" help:"The report to compare with." type:"existingfile"`
	After  string `arg:"" help:"The report to look at." type:"existingfile"`
}

// Run compares.
func (c *compareCmd) Run() error {
	before, err := bench.Read(c.Before)
	if err != nil {
		return err
	}
	after, err := bench.Read(c.After)
	if err != nil {
		return err
	}
	return bench.Compare(before, after).Print(os.Stdout)
}
