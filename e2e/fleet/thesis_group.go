package fleet

import (
	"context"
	"fmt"
	"io"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/waybill-data/waybill/e2e/stack"
)

// look notes who has which partitions, and what has moved.
func (g *group) look(ctx context.Context, speed func(place) float64) {
	used := map[string]bool{}
	for _, i := range g.ingests {
		lanes, err := i.Lanes(ctx)
		if err != nil {
			continue
		}
		for _, l := range lanes {
			if l.State == "draining" {
				continue // it is about to be another one's
			}
			used[i.Name] = true
			p := place{l.Topic, l.Partition}
			if was := g.owner[p]; was != "" && was != i.Name {
				g.rscore += speed(p)
			}
			g.owner[p] = i.Name
		}
	}
	g.used = append(g.used, len(used))
}

// mean and most are how many consumers had partitions.
func (g *group) mean() float64 {
	sum := 0
	for _, n := range g.used {
		sum += n
	}
	return float64(sum) / float64(max(1, len(g.used)))
}

func (g *group) most() int { return slices.Max(append(g.used, 0)) }

// behind is what all lanes of the group lag behind; -1 while some of it is not known.
func (g *group) behind(ctx context.Context) (sum int64, err error) {
	lanes := map[place]int64{}
	for _, i := range g.ingests {
		own, err := i.Lanes(ctx)
		if err != nil {
			return 0, err
		}
		for _, l := range own {
			if l.Topic == walkTopic(0) || l.Topic == walkTopic(1) {
				lanes[place{l.Topic, l.Partition}] = l.Lag
			}
		}
	}
	if len(lanes) < walkTopics*walkPartitions {
		return -1, nil
	}
	for _, lag := range lanes {
		if lag < 0 {
			return -1, nil
		}
		sum += lag
	}
	return sum, nil
}

// rows is how many rows the group's lanes have sent.
func (g *group) rows(ctx context.Context) (sum float64, err error) {
	for _, i := range g.ingests {
		m, err := stack.ReadMetrics(ctx, i.Admin)
		if err != nil {
			return 0, err
		}
		sum += m.Sum("waybill_ingest_rows_total")
	}
	return sum, nil
}

// measures are the metrics of each group, those of its ingests put together.
func measures(ctx context.Context, groups []*group) ([]stack.Metrics, error) {
	var all []stack.Metrics
	for _, g := range groups {
		sum := stack.Metrics{}
		for _, i := range g.ingests {
			m, err := stack.ReadMetrics(ctx, i.Admin)
			if err != nil {
				return nil, err
			}
			for name, family := range m {
				if sum[name] == nil {
					sum[name] = &dto.MetricFamily{Name: family.Name, Type: family.Type}
				}
				sum[name].Metric = append(sum[name].Metric, family.GetMetric()...)
			}
		}
		all = append(all, sum)
	}
	return all, nil
}

// ThesisRow is what one way of assigning did with one kind of walk.
type ThesisRow struct {
	// Delta is how far a step goes at most, in percent of what a consumer carries.
	Delta      int
	Assignment string
	// Given are the consumers that there were, Used how many of them had partitions, in the mean, and Most at most.
	Given int
	Used  float64
	Most  int
	// P90 and P99 are from the time of a record to its settlement, in seconds.
	P90, P99 float64
	// RScore is what moved from one consumer to another, as a sum of shares of what one carries.
	RScore float64
	// Busy is the share of the time in which something on the machine waited for a processor.
	Busy float64
}

const thesisHeader = "delta  assignment          consumers  most    p90 s    p99 s  R-score  busy"

func (r ThesisRow) String() string {
	return fmt.Sprintf("%4d%%  %-18s  %9.1f  %4d  %7.2f  %7.2f  %7.2f  %3.0f%%",
		r.Delta, r.Assignment, r.Used, r.Most, r.P90, r.P99, r.RScore, 100*r.Busy)
}

// ThesisReport is what came of the experiment.
type ThesisReport struct {
	Config ThesisConfig
	Rows   []ThesisRow
}

// latencyGoal is what is promised of assignment by load, in seconds.
const latencyGoal = 1.0

// worst is the highest p99 of an assignment, and the most consumers that it used.
func (r *ThesisReport) worst(assignment string) (p99 float64, most int, busy float64) {
	for _, row := range r.Rows {
		if row.Assignment == assignment {
			p99, most, busy = max(p99, row.P99), max(most, row.Most), max(busy, row.Busy)
		}
	}
	return p99, most, busy
}

// OK says that assignment by load kept its promise: p99 with no more consumers than range was given.
func (r *ThesisReport) OK() bool {
	p99, most, _ := r.worst("load")
	_, given, _ := r.worst("range")
	return len(r.Rows) > 0 && p99 <= latencyGoal && most <= given
}

// Print writes the last line.
func (r *ThesisReport) Print(out io.Writer) error {
	load, most, stressed := r.worst("load")
	usual, given, _ := r.worst("range")
	word := "met"
	if !r.OK() {
		word = "missed"
		if stressed >= busy {
			word += ", the machine was busy"
		}
	}
	_, err := fmt.Fprintf(out,
		"\nthesis: p99 %.2f s by load with %d consumers at most, %.2f s by range with %d; goal %.0f s: %s\n",
		load, most, usual, given, latencyGoal, word)
	return err
}

// Busy says that something waited for a processor too often for a missed goal to mean anything.
func (r *ThesisReport) Busy() bool {
	_, _, stressed := r.worst("load")
	return stressed >= busy
}
