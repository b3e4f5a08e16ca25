package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// UpgradeConfig of a run with two versions.
type UpgradeConfig struct {
	// Dir takes data, configuration and logs; Bin is the folder of this version's binaries.
	Dir, Bin string
	// OldBin is the folder of the other version's writer and ingest, OldSource its source: its examples say which keys
	// it knows.
	OldBin, OldSource string
	// Source is this version's source.
	Source string
	// Rate is events a second over all lanes.
	Rate float64
	// Out is for a person.
	Out io.Writer
}

const (
	// each is how many processes of a service there are.
	each = 2
	// upgradeLanes is how many lanes they carry.
	upgradeLanes = 32
	// stay is how long events flow between two steps.
	stay = 3 * time.Second
)

// upgrade is such a run under way.
type upgrade struct {
	UpgradeConfig
	flow
	now state
	// config and example are of the service: what a process of this version would get, and the old version's example.
	config, example map[*stack.Service][]byte
}

// Upgrade replaces every process by one of another version and back, one by one, under load: old ingests beside new
// writers, new ones beside old ones. In the end it compares every offset.
func Upgrade(ctx context.Context, config UpgradeConfig) (report Report, err error) {
	u := &upgrade{UpgradeConfig: config}
	list, err := u.layOut()
	if err != nil {
		return report, err
	}
	defer func() { err = u.end(err) }()
	if err := u.up(ctx); err != nil {
		return report, err
	}
	u.begin(ctx, upgradeLanes, u.Rate)
	fmt.Fprintf(config.Out, "%s  silence s  moved  created  finalized\n", pad("old ingests, old writers"))
	if err := u.carries(ctx); err != nil {
		return report, err
	}
	for _, s := range list {
		if err := u.take(ctx, s); err != nil {
			return report, fmt.Errorf("%s: %w", s.what, err)
		}
	}
	err = u.compare(ctx)
	return u.report, err
}

// layOut writes the configuration of both versions, and says what the steps are.
func (u *upgrade) layOut() (list []step, err error) {
	u.stack, err = stack.New(stack.Config{
		Dir: u.Dir, Bin: u.Bin, Writers: each, Ingests: each, StockPartitions: upgradeLanes, DeliveryPartitions: 1,
		Contracts: "  - builtin: stock.v1\n", WriterYAML: "drain_timeout: 20s\n", KafkaYAML: "  drain_timeout: 10s\n",
	})
	if err != nil {
		return nil, err
	}
	const ingestExample, writerExample = "services/ingest/ingest.example.yaml", "services/writer/writer.example.yaml"
	u.config, u.example = map[*stack.Service][]byte{}, map[*stack.Service][]byte{}
	for example, services := range map[string][]*stack.Service{
		ingestExample: u.stack.Ingests, writerExample: u.stack.Writers,
	} {
		old, err := os.ReadFile(filepath.Join(u.OldSource, example))
		if err != nil {
			return nil, err
		}
		for _, s := range services {
			if u.config[s], err = os.ReadFile(s.Config); err != nil {
				return nil, err
			}
			u.example[s] = old
		}
	}
	was, err := assignment(u.example[u.stack.Ingests[0]])
	if err != nil {
		return nil, err
	}
	ours, err := os.ReadFile(filepath.Join(u.Source, ingestExample))
	if err != nil {
		return nil, err
	}
	is, err := assignment(ours)
	if err == nil && is == "" {
		err = fmt.Errorf("%s has no kafka.assignment", ingestExample)
	}
	u.now = state{ingest: side{old: true, assignment: was}, writer: side{old: true}}
	return steps(was, is), err
}

// prepare makes the next start of a process one of a version.
func (u *upgrade) prepare(s *stack.Service, program string, as side) (err error) {
	text := u.config[s]
	if as.assignment != "" {
		if text, err = assign(text, as.assignment); err != nil {
			return err
		}
	}
	bin := u.Bin
	if as.old {
		bin = u.OldBin
		if text, err = fit(text, u.example[s]); err != nil {
			return fmt.Errorf("%s of the old version: %w", program, err)
		}
	}
	s.Path = filepath.Join(bin, program)
	return os.WriteFile(s.Config, text, 0o644)
}

func (u *upgrade) up(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := u.stack.UpSandbox(ctx); err != nil {
		return err
	}
	for _, w := range u.stack.Writers {
		if err := u.prepare(w, "writer", u.now.writer); err != nil {
			return err
		}
	}
	for _, i := range u.stack.Ingests {
		if err := u.prepare(i, "ingest", u.now.ingest); err != nil {
			return err
		}
	}
	return u.stack.UpServices(ctx)
}

// take does a step: each process of the service that changes is stopped, and started as another version.
func (u *upgrade) take(ctx context.Context, s step) error {
	row, end, err := u.watch.row(ctx, s.what)
	if err != nil {
		return err
	}
	services, program, as := u.stack.Writers, "writer", s.to.writer
	if s.to.ingest != u.now.ingest {
		services, program, as = u.stack.Ingests, "ingest", s.to.ingest
	}
	for _, service := range services {
		if err := u.replace(ctx, service, program, as); err != nil {
			return err
		}
	}
	u.now = s.to
	if err := u.carries(ctx); err != nil {
		return err
	}
	err = end("")
	u.report.Rows = append(u.report.Rows, *row)
	fmt.Fprintf(u.Out, "%s  %9.2f  %5d  %7d  %9d\n",
		pad(row.What), row.Silence.Seconds(), row.Moved, row.Created, row.Finalized)
	return err
}

func pad(text string) string { return fmt.Sprintf("%-38s", text) }

func (u *upgrade) replace(ctx context.Context, service *stack.Service, program string, as side) error {
	if err := service.Stop(grace); err != nil {
		return err
	}
	if err := u.prepare(service, program, as); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return stack.Up(ctx, service)
}

// carries waits until every lane has settled something that was not settled when it was called, and then for a while.
func (u *upgrade) carries(ctx context.Context) error {
	from := u.watch.positions()
	err := stack.Within(ctx, evenWithin, lookEvery, "all lanes go on", func() error {
		moved := 0
		for p, position := range u.watch.positions() {
			if position > from[p] {
				moved++
			}
		}
		if moved != upgradeLanes {
			return fmt.Errorf("%d of %d", moved, upgradeLanes)
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, u.refusals(ctx))
	}
	return stack.Pause(ctx, stay)
}

// refusals are what the first lanes say of themselves that do not go on.
func (u *upgrade) refusals(ctx context.Context) error {
	const most = 3
	var said bytes.Buffer
	n := 0
	for _, i := range u.stack.Ingests {
		found, err := i.Lanes(ctx)
		if err != nil {
			return err
		}
		for _, l := range found {
			if n++; l.LastError != "" && n <= most {
				fmt.Fprintf(&said, "%s/%d is %s: %s\n", l.Topic, l.Partition, l.State, l.LastError)
			}
		}
	}
	if said.Len() == 0 {
		return nil
	}
	return errors.New(said.String())
}

// PrintUpgrade writes what came of a run with two versions; the last line is short.
func (r *Report) PrintUpgrade(out io.Writer, ref string) error {
	r.offences(out)
	_, err := fmt.Fprintf(out,
		"upgrade: from %s and back, steps %d, silence %.2f s, events %d, lost %d, duplicates %d\n", ref,
		len(r.Rows), r.silence().Seconds(), r.Verified.Events, r.lost(), r.duplicates())
	return err
}

// Same says that every event that was produced was compared, and is in its table once.
func (r *Report) Same() bool {
	return r.Verified.OK() && r.Verified.Events == r.Produced && r.Produced > 0
}
