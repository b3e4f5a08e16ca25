package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

// store is what Prometheus would have, had it scraped.
type store struct {
	db       *tsdb.DB
	engine   *promql.Engine
	parser   parser.Parser
	from, to time.Time
	samples  int
}

// page is one response of /metrics.
type page struct {
	path, job, instance string
	at                  int64 // milliseconds
}

// load reads all pages into a store below dir.
func load(ctx context.Context, dir, scrapes string) (*store, error) {
	pages, err := find(scrapes)
	if err != nil {
		return nil, err
	}
	options := tsdb.DefaultOptions()
	options.MinBlockDuration = (24 * time.Hour).Milliseconds() // all of it stays in memory
	options.MaxBlockDuration = options.MinBlockDuration
	options.RetentionDuration = 0
	db, err := tsdb.Open(dir, nil, nil, options, tsdb.NewDBStats())
	if err != nil {
		return nil, err
	}
	p := parser.NewParser(parser.Options{})
	s := &store{
		db: db, parser: p, from: time.UnixMilli(pages[0].at), to: time.UnixMilli(pages[len(pages)-1].at),
		engine: promql.NewEngine(promql.EngineOpts{
			MaxSamples: 50e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, Parser: p,
		}),
	}
	for _, page := range pages {
		if err := s.add(ctx, page); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", page.path, err), db.Close())
		}
	}
	return s, nil
}

func (s *store) close() { _ = s.db.Close() }

// find lists the pages in the order of their time.
func find(scrapes string) ([]page, error) {
	paths, err := filepath.Glob(filepath.Join(scrapes, "*", "*", "*.txt"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s has no pages: run bin/scrape first", scrapes)
	}
	pages := make([]page, len(paths))
	for i, path := range paths {
		instance := filepath.Dir(path)
		at, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(path), ".txt"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is not named by its time in milliseconds", path)
		}
		pages[i] = page{path, filepath.Base(filepath.Dir(instance)), filepath.Base(instance), at}
	}
	slices.SortFunc(pages, func(a, b page) int { return cmp.Compare(a.at, b.at) })
	return pages, nil
}

// add takes a page in, with the labels that Prometheus adds.
func (s *store) add(ctx context.Context, of page) error {
	text, err := os.ReadFile(of.path)
	if err != nil {
		return err
	}
	p, err := textparse.New(text, "text/plain", nil, textparse.ParserOptions{})
	if err != nil {
		return err
	}
	to := s.db.Appender(ctx)
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return to.Commit()
		}
		if err != nil {
			return err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var series labels.Labels
		p.Labels(&series)
		_, _, value := p.Series()
		with := labels.NewBuilder(series).Set("job", of.job).Set("instance", of.instance)
		if _, err := to.Append(0, with.Labels(), of.at, value); err != nil {
			return err
		}
		s.samples++
	}
}

// seen is what a query shows.
type seen struct {
	series        int
	last, largest float64
}

// every is the time between two points of a panel.
const every = time.Second

// evaluate is the query over all of the time.
func (s *store) evaluate(ctx context.Context, q query) (seen, error) {
	if q.unit == "" {
		if err := s.selects(ctx, q.expr); err != nil {
			return seen{}, err
		}
	}
	matrix, err := s.run(ctx, q.expr)
	if err != nil {
		return seen{}, err
	}
	out := seen{series: len(matrix)}
	points := 0
	for _, series := range matrix {
		for _, p := range series.Floats {
			if math.IsNaN(p.F) {
				continue // a quantile of nothing
			}
			points++
			if math.IsInf(p.F, 0) || p.F < 0 || q.unit == "percentunit" && p.F > 1+1e-9 {
				return out, fmt.Errorf("%v cannot be: %s", p.F, series.Metric)
			}
			out.last, out.largest = p.F, max(out.largest, p.F)
		}
	}
	if points == 0 && q.unit != "" {
		return out, errors.New("it shows nothing")
	}
	return out, nil
}

// selects makes sure that there is something behind each selector of an alert rule: one that selects nothing never
// fires.
func (s *store) selects(ctx context.Context, expr string) error {
	tree, err := s.parser.ParseExpr(expr)
	if err != nil {
		return err
	}
	var wrong []error
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			matrix, err := s.run(ctx, v.String())
			if err == nil && len(matrix) == 0 {
				err = errors.New("selects nothing")
			}
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", v, err))
			}
		}
		return nil
	})
	return errors.Join(wrong...)
}

func (s *store) run(ctx context.Context, expr string) (promql.Matrix, error) {
	q, err := s.engine.NewRangeQuery(ctx, s.db, nil, expr, s.from, s.to, every)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	matrix, err := result.Matrix()
	if err != nil {
		return nil, err
	}
	return slices.Clone(matrix), nil
}
