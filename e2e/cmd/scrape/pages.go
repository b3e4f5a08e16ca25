package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// target is a process whose pages are kept.
type target struct{ job, admin string }

// scraper keeps pages of processes.
type scraper struct {
	into    string
	targets []target
	count   int // of pages that are kept
}

func newScraper(into string, s *stack.Stack) *scraper {
	p := &scraper{into: into}
	for _, w := range s.Writers {
		p.targets = append(p.targets, target{"writer", w.Admin})
	}
	for _, i := range s.Ingests {
		p.targets = append(p.targets, target{"ingest", i.Admin})
	}
	return p
}

// start scrapes from now on. The function that it returns scrapes once more, ends it, and says what went wrong.
func (p *scraper) start(ctx context.Context, every time.Duration) (end func() error) {
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			err := p.scrape(ctx)
			select {
			case <-stop:
				ended <- err
				return
			case <-tick.C:
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	return func() error { close(stop); return <-ended }
}

// scrape keeps a page of each process that responds: those that are down have none, as for Prometheus.
func (p *scraper) scrape(ctx context.Context) error {
	for _, t := range p.targets {
		one, cancel := context.WithTimeout(ctx, 10*time.Second)
		text, err := stack.Fetch(one, "http://"+t.admin+"/metrics")
		cancel()
		if err != nil {
			continue
		}
		dir := filepath.Join(p.into, t.job, t.admin)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		name := strconv.FormatInt(time.Now().UnixMilli(), 10) + ".txt"
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
		p.count++
	}
	return nil
}
