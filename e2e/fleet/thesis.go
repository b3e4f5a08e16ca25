package fleet

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/waybill-data/waybill/e2e/bench"
	"github.com/waybill-data/waybill/e2e/stack"
)

// ThesisConfig is an experiment with assignments: the same load, whose partitions differ and walk at random, for groups
// that assign in different ways, beside each other.
type ThesisConfig struct {
	Dir, Bin string
	// For is how long each delta is measured, Step how long speeds stay.
	For, Step time.Duration
	// Consumers are the ingests of each group.
	Consumers int
	// Deltas are how far a step goes at most, in percent of what a consumer carries.
	Deltas []int
	// Assignments are the ways to compare.
	Assignments []string
	// Seed is that of the walks.
	Seed uint64
	Out  io.Writer
}

const (
	walkTopics, walkPartitions = 2, 16
	// carries is what a consumer carries, in bytes a second of records, and recordBytes how large one is: with smaller
	// ones two cores have no rest beside four groups, and all wait for them more than for their consumers.
	carries, recordBytes = 100 << 10, 4 << 10
	// fullness is what all partitions bring, as a share of what all consumers carry.
	fullness = 0.62
	// warm is how long the speeds stay as they are before anything is measured: the time in which a group that assigns
	// by load has seen what it assigns. Before that it is measured, for calibrate, what a record takes to its writer.
	warm, calibrate = 60 * time.Second, 10 * time.Second
	// drainWithin is how long what is left over may take.
	drainWithin = 10 * time.Minute
)

func walkTopic(i int) string { return fmt.Sprintf("walk_%c", 'a'+i) }

// thesis is the experiment under way.
type thesis struct {
	config ThesisConfig
	stack  *stack.Stack
	relays []*throttle // in front of the writers, one an ingest
}

// group is one way of assigning.
type group struct {
	name    string
	ingests []*stack.Service
	relays  []*throttle

	owner  map[place]string
	used   []int // consumers with partitions, once a second
	rscore float64
}

// Thesis runs the experiment. The error says that it could not be done.
func Thesis(ctx context.Context, config ThesisConfig) (report ThesisReport, err error) {
	report.Config = config
	fmt.Fprintf(config.Out, "%s\n", thesisHeader)
	for _, delta := range config.Deltas {
		rows, err := thesisOf(ctx, config, delta)
		if err != nil {
			return report, fmt.Errorf("delta %d %%: %w", delta, err)
		}
		for _, row := range rows {
			fmt.Fprintf(config.Out, "%s\n", row)
		}
		report.Rows = append(report.Rows, rows...)
	}
	return report, nil
}

func thesisOf(ctx context.Context, config ThesisConfig, delta int) (rows []ThesisRow, err error) {
	config.Dir = fmt.Sprintf("%s/delta-%d", config.Dir, delta)
	t := &thesis{config: config}
	if err := t.layOut(); err != nil {
		return nil, err
	}
	defer func() {
		for _, r := range t.relays {
			r.rate.Store(0) // what is left drains
		}
		if down := t.stack.Down(grace); down != nil && err == nil {
			err = fmt.Errorf("a process did not stop in order: %w", down)
		}
		for _, r := range t.relays {
			r.Close()
		}
	}()
	up, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := t.stack.Up(up); err != nil {
		return nil, err
	}
	var groups []*group
	n := config.Consumers
	for i, name := range t.config.Assignments {
		groups = append(groups, &group{
			name: name, ingests: t.stack.Ingests[i*n : (i+1)*n], relays: t.relays[i*n : (i+1)*n],
			owner: map[place]string{},
		})
	}
	return t.run(ctx, groups, delta)
}

// layOut writes the configurations: a group, a writer and a dataset for each assignment.
func (t *thesis) layOut() (err error) {
	n := t.config.Consumers
	var contracts strings.Builder
	var topics []string
	for i := range walkTopics {
		fmt.Fprintf(&contracts, "  - topic: %s\n    format: raw\n    as: string\n    types: [\"*\"]\n    table: walk\n",
			walkTopic(i))
		topics = append(topics, fmt.Sprintf("%s:%d", walkTopic(i), walkPartitions))
	}
	t.stack, err = stack.New(stack.Config{
		Dir: t.config.Dir, Bin: t.config.Bin, Writers: len(t.config.Assignments),
		Ingests:   n * len(t.config.Assignments),
		Contracts: contracts.String(), Topics: topics,
		KafkaYAML: fmt.Sprintf("  assignment: range\n  capacity: %d\n  drain_timeout: 8s\n", carries),
		// What a process has under way is little beside what it carries in a second: a slow one must not drain for
		// long.
		IngestYAML: "batch: {bytes: 8KiB}\nwindow: {bytes: 16KiB}\n",
	})
	if err != nil {
		return err
	}
	endpoints := regexp.MustCompile(`endpoints: \[.*\]`)
	for g, name := range t.config.Assignments {
		w := t.stack.Writers[g]
		if err := rewrite(w.Config, func(text string) string {
			return strings.Replace(text, "dataset: "+stack.Dataset, "dataset: by_"+strings.ReplaceAll(name, "-", "_"),
				1)
		}); err != nil {
			return err
		}
		for i := g * n; i < (g+1)*n; i++ {
			relay, err := newThrottle(w.GRPC)
			if err != nil {
				return err
			}
			t.relays = append(t.relays, relay)
			if err := rewrite(t.stack.Ingests[i].Config, func(text string) string {
				text = endpoints.ReplaceAllString(text, "endpoints: ["+relay.Addr()+"]")
				text = strings.Replace(text, "assignment: range", "assignment: "+name, 1)
				return strings.Replace(text, "group: "+stack.Group, "group: by-"+name, 1)
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

func rewrite(path string, change func(string) string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(change(string(text))), 0o644)
}

// run produces while the speeds walk, and measures.
func (t *thesis) run(ctx context.Context, groups []*group, delta int) (rows []ThesisRow, err error) {
	speeds := newWalk(t.config.Seed, walkTopics*walkPartitions, float64(delta)/100,
		fullness*float64(t.config.Consumers))
	load, err := newSteady(t.stack.Seeds(), speeds.speeds)
	if err != nil {
		return nil, err
	}
	producing, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { load.run(producing) })
	if err := t.limit(ctx, groups, load); err != nil {
		return nil, err
	}
	if err := stack.Pause(ctx, warm); err != nil {
		return nil, err
	}
	from, err := measures(ctx, groups)
	if err != nil {
		return nil, err
	}
	stress := newStress()
	began, stepped := time.Now(), time.Now()
	for time.Since(began) < t.config.For {
		for _, g := range groups {
			g.look(ctx, load.at)
		}
		if time.Since(stepped) >= t.config.Step {
			stepped = time.Now()
			speeds.step()
			load.set(speeds.speeds)
		}
		if err := stack.Pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
	busy := stress.share()
	stop()
	running.Wait()
	if load.failed() != nil {
		return nil, load.failed()
	}
	// What is late counts as late as it is: at the speed of the processes until all is settled.
	if err := t.settled(ctx, groups, load.produced()); err != nil {
		return nil, err
	}
	to, err := measures(ctx, groups)
	if err != nil {
		return nil, err
	}
	for i, g := range groups {
		rows = append(rows, ThesisRow{
			Delta: delta, Assignment: g.name, Given: len(g.ingests), Used: g.mean(), Most: g.most(), RScore: g.rscore,
			P90: bench.SettleQuantile(from[i], to[i], 0.9), P99: bench.SettleQuantile(from[i], to[i], 0.99), Busy: busy,
		})
	}
	return rows, nil
}

// limit finds out how many bytes a record is on its way to a writer, and makes all processes as fast as they say.
func (t *thesis) limit(ctx context.Context, groups []*group, load *steady) error {
	for began := time.Now(); ; {
		follow, lag := true, make([]int64, len(groups))
		for i, g := range groups {
			var err error
			if lag[i], err = g.behind(ctx); err != nil {
				return err
			}
			follow = follow && lag[i] >= 0 && lag[i]*recordBytes < carries
		}
		if follow {
			break
		}
		if time.Since(began) > time.Minute {
			return fmt.Errorf("the groups lag behind by %d records: the machine is too slow", lag)
		}
		if err := stack.Pause(ctx, time.Second); err != nil {
			return err
		}
	}
	counted := func() (bytes, rows float64, err error) {
		for _, g := range groups {
			n, err := g.rows(ctx)
			if err != nil {
				return 0, 0, err
			}
			rows += n
		}
		for _, r := range t.relays {
			bytes += float64(r.passed.Load())
		}
		return bytes, rows, nil
	}
	was, had, err := counted()
	if err != nil {
		return err
	}
	if err := stack.Pause(ctx, calibrate); err != nil {
		return err
	}
	bytes, rows, err := counted()
	if err != nil {
		return err
	}
	each := (bytes - was) / max(1, rows-had)
	if each < 0.95*recordBytes || each > 3*recordBytes {
		return cmp.Or(load.failed(), fmt.Errorf("a record of %d bytes takes %.0f to its writer: it is not what it "+
			"seems",
			recordBytes, each))
	}
	for _, r := range t.relays {
		r.rate.Store(int64(carries * each / recordBytes))
	}
	return nil
}

// settled waits until all groups have committed everything.
func (t *thesis) settled(ctx context.Context, groups []*group, produced int64) error {
	for began := time.Now(); ; {
		left := 0
		for _, g := range groups {
			lag, err := g.behind(ctx)
			if err != nil {
				return err
			}
			if lag != 0 {
				left++
			}
		}
		if left == 0 {
			return nil
		}
		if time.Since(began) > drainWithin {
			return fmt.Errorf("%d groups have not settled %d records %v after the load ended", left, produced,
				drainWithin)
		}
		if err := stack.Pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}
