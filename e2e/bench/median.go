package bench

import "slices"

// median of several runs of one variant: of each figure by itself. What is not a figure is that of the first run.
func median(runs []Result) Result {
	m := runs[0]
	if len(runs) == 1 {
		return m
	}
	m.Spread = map[string]float64{}
	// of takes a figure's median; a figure that some run lacks stays as it is.
	of := func(name string, figure func(*Result) *float64) {
		var values []float64
		for i := range runs {
			v := figure(&runs[i])
			if v == nil {
				return
			}
			values = append(values, *v)
		}
		slices.Sort(values)
		mid := middle(values)
		*figure(&m) = mid
		if name != "" && mid > 0 {
			m.Spread[name] = (values[len(values)-1] - values[0]) / mid
		}
	}
	// The pointers of m must not be those of the first run, whose values are still to be read.
	m = m.clone()
	of("rows_per_s", func(r *Result) *float64 { return &r.RowsPerS })
	of("mb_per_s", func(r *Result) *float64 { return &r.MBPerS })
	of("cpu_ingest", func(r *Result) *float64 { return &r.CPU.Ingest })
	of("cpu_writer", func(r *Result) *float64 { return &r.CPU.Writer })
	of("cpu_total", func(r *Result) *float64 { return &r.CPU.Total })
	of("floor_ratio", func(r *Result) *float64 { return r.FloorRatio })
	of("peak_rss_ingest", func(r *Result) *float64 { return &r.PeakRSS.Ingest })
	of("peak_rss_writer", func(r *Result) *float64 { return &r.PeakRSS.Writer })
	of("alloc_ingest", func(r *Result) *float64 { return &r.Allocated.Ingest })
	of("alloc_writer", func(r *Result) *float64 { return &r.Allocated.Writer })
	settle := func(figure func(*Settle) *float64) func(*Result) *float64 {
		return part(func(r *Result) *Settle { return r.Settle }, figure)
	}
	of("settle_p50", settle(func(s *Settle) *float64 { return &s.P50 }))
	of("settle_p99", settle(func(s *Settle) *float64 { return &s.P99 }))
	of("settle_max", settle(func(s *Settle) *float64 { return &s.Max }))
	floor := func(figure func(*Floor) *float64) func(*Result) *float64 {
		return part(func(r *Result) *Floor { return r.Floor }, figure)
	}
	of("", floor(func(f *Floor) *float64 { return &f.Kafka }))
	of("", floor(func(f *Floor) *float64 { return &f.Decode }))
	of("", floor(func(f *Floor) *float64 { return &f.Hop }))
	of("", floor(func(f *Floor) *float64 { return &f.BigQuery }))
	of("", floor(func(f *Floor) *float64 { return &f.Total }))
	of("", floor(func(f *Floor) *float64 { return &f.Messages }))
	for i := range m.Loads {
		load := func(of func(*Load) *float64) func(*Result) *float64 {
			return func(r *Result) *float64 { return of(&r.Loads[i]) }
		}
		of("", load(func(l *Load) *float64 { return &l.Rate }))
		of("", load(func(l *Load) *float64 { return &l.RowsPerBatch }))
		of("", load(func(l *Load) *float64 { return &l.Settle.P50 }))
		of("", load(func(l *Load) *float64 { return &l.Settle.P99 }))
		of("", load(func(l *Load) *float64 { return &l.Settle.Max }))
		of("", load(func(l *Load) *float64 { return &l.CPU.Ingest }))
		of("", load(func(l *Load) *float64 { return &l.CPU.Writer }))
		of("", load(func(l *Load) *float64 { return &l.CPU.Total }))
		for _, r := range runs {
			m.Loads[i].Sustained = m.Loads[i].Sustained && r.Loads[i].Sustained
		}
	}
	return m
}

// part is a figure of a part that some results lack.
func part[P any](of func(*Result) *P, figure func(*P) *float64) func(*Result) *float64 {
	return func(r *Result) *float64 {
		p := of(r)
		if p == nil {
			return nil
		}
		return figure(p)
	}
}

// clone shares no figure with r.
func (r Result) clone() Result {
	if r.FloorRatio != nil {
		v := *r.FloorRatio
		r.FloorRatio = &v
	}
	if r.Settle != nil {
		v := *r.Settle
		r.Settle = &v
	}
	if r.Floor != nil {
		v := *r.Floor
		r.Floor = &v
	}
	r.Loads = slices.Clone(r.Loads)
	return r
}

// middle is the median of sorted values.
func middle(sorted []float64) float64 {
	mid := sorted[len(sorted)/2]
	if len(sorted)%2 == 0 {
		mid = (mid + sorted[len(sorted)/2-1]) / 2
	}
	return mid
}
