package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
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
	client  http.Client
	count   int // of pages that are kept
}

func newScraper(into string, s *stack.Stack) *scraper {
	p := &scraper{into: into, client: http.Client{Timeout: 10 * time.Second}}
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
		text, err := p.page(ctx, t.admin)
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

func (p *scraper) page(ctx context.Context, admin string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s/metrics: %s", admin, response.Status)
	}
	return io.ReadAll(response.Body)
}
