// Package chaos runs Waybill under load while processes die, pause, come and go, Kafka and BigQuery misbehave and
// connections go half dead, and then compares every offset. What happens when is a pure function of the seed, see
// [Plan].
package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// Config of a run.
type Config struct {
	// Dir takes data, configuration and logs; Bin is the folder of the binaries.
	Dir, Bin string
	Seed     uint64
	// Duration is how long there are load and disturbances. Start, drain and verification come on top.
	Duration time.Duration
	// Rate is delivery events a second; the other topics have a share of it. A delivery event is about 4 KB, on disk
	// twice: a minute of the default takes 200 MB.
	Rate float64
	// RefuseEvery has BigQuery refuse the rows whose Kafka offset it divides.
	RefuseEvery int64
	// Drain is how long everything that was produced may take to settle once it is quiet.
	Drain time.Duration
	// Out is for a person.
	Out io.Writer
}

// Defaults fills in what is zero.
func (c Config) Defaults() Config {
	if c.Rate == 0 {
		c.Rate = 300
	}
	if c.RefuseEvery == 0 {
		c.RefuseEvery = 487
	}
	if c.Drain == 0 {
		c.Drain = 3 * time.Minute
	}
	if c.Out == nil {
		c.Out = io.Discard
	}
	return c
}

// How the services are configured: small batches and windows, so that a death meets several in flight, and timeouts
// that fit a short run.
const (
	ingestYAML = `
batch:
  bytes: 64KiB
  rows: 100
window:
  batches: 8
commit:
  interval: 500ms
`
	kafkaYAML = `  session_timeout: 6s
  rebalance_timeout: 12s
  drain_timeout: 5s
  request_timeout: 5s
`
	writerYAML = `
drain_timeout: 8s
`
)

// run is a run under way.
type run struct {
	config  Config
	stack   *stack.Stack
	relays  map[string]*relay // by the address behind
	late    []*stack.Delay    // in front of BigQuery, by writer
	names   *naming
	watch   *watch
	loads   []*load
	results results
	began   time.Time

	grown  atomic.Bool // every ingest takes records with the new column
	framed atomic.Bool // the registry has the schema with the new column

	gate    sync.RWMutex // held for writing while nothing can be produced
	sandbox sync.RWMutex // held for writing while the sandbox is away

	mu    sync.Mutex              // guards taken
	taken map[*stack.Service]bool // by a disturbance

	renaming  sync.Mutex // one list of writers at a time
	replaying sync.Mutex // one replay at a time: two would fence each other, and neither might end
	shadowing sync.Mutex // one process at a time replays the topic
	// replayedTopic is what the replay of the topic said in the end.
	replayedTopic *replayedTopic

	say sync.Mutex
}

// Run runs. The error says that the run could not be made or was interrupted; what came of it is in the report.
func Run(ctx context.Context, config Config) (report Report, err error) {
	r := &run{config: config.Defaults(), relays: map[string]*relay{}, taken: map[*stack.Service]bool{}}
	defer func() {
		for _, relay := range r.relays {
			relay.Close()
		}
		for _, late := range r.late {
			late.Close()
		}
		if r.names != nil {
			r.names.server.Close()
		}
	}()
	if err := r.layOut(); err != nil {
		return Report{}, err
	}
	defer func() {
		if down := r.stack.Down(grace); down != nil && err == nil {
			err = fmt.Errorf("a process did not stop in order: %w", down)
		}
	}()
	r.line("starting the sandbox, %d writers and %d ingests; %d partitions over %d topics",
		writers, ingests, partitions(), len(topics))
	if err := r.up(ctx); err != nil {
		return Report{}, err
	}
	r.watch = newWatch(r.stack)
	watching, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { r.watch.run(watching) })
	defer background.Wait()
	defer stop()
	background.Go(func() { r.progress(watching) })

	if err := r.disturb(ctx); err != nil {
		return Report{}, err
	}
	if err := r.quiet(ctx); err != nil {
		return Report{}, err
	}
	r.line("quiet; replaying what was refused, then draining")
	if err := r.replayToTheEnd(ctx); err != nil {
		return Report{}, err
	}
	if err := r.drain(ctx); err != nil {
		return Report{}, err
	}
	if err := r.replayTopicToTheEnd(ctx); err != nil {
		return Report{}, err
	}
	return r.verify(ctx)
}

func (r *run) layOut() error {
	names, err := newNaming()
	if err != nil {
		return err
	}
	r.names = names
	config := stack.Config{
		Dir: r.config.Dir, Bin: r.config.Bin, Writers: writers + 1, Ingests: ingests + guests,
		DeliveryPartitions: topics[0].partitions, StockPartitions: topics[1].partitions, Contracts: contracts,
		IngestYAML: ingestYAML, KafkaYAML: kafkaYAML, WriterYAML: writerYAML,
		BigQueryYAML: "  append_timeout: 8s\n", Target: r.names.server.Target(r.names.port),
		Reach: func(addr string) string {
			if r.relays[addr] == nil {
				one, relayErr := newRelay("127.0.0.1:0", addr)
				if relayErr != nil {
					err = relayErr
					return addr
				}
				r.relays[addr] = one
			}
			return r.relays[addr].Addr()
		},
	}
	for _, t := range topics[2:] {
		config.SandboxArgs = append(config.SandboxArgs, fmt.Sprintf("--seed-topics=%s:%d", t.name, t.partitions))
	}
	s, stackErr := stack.New(config)
	r.stack = s
	if err := errors.Join(stackErr, err); err != nil {
		return err
	}
	// The last one is a static member, which leaves the group when it stops.
	if err := s.Ingests[ingests+guests-1].Static("guest", true); err != nil {
		return err
	}
	if err := r.layOutRelays(); err != nil {
		return err
	}
	return writeSchemas(s.Config.Dir, false)
}

func (r *run) up(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := r.stack.UpSandbox(ctx); err != nil {
		return err
	}
	if err := r.refuseRows(ctx); err != nil {
		return err
	}
	if err := r.register(ctx, scanSchema, scanID); err != nil {
		return err
	}
	return stack.Up(ctx, r.always()...)
}

// always are the services that are there from beginning to end.
func (r *run) always() []*stack.Service {
	return append(append([]*stack.Service{}, r.stack.Writers[:writers]...), r.stack.Ingests[:ingests]...)
}

// disturb produces and disturbs as planned, and returns when both are over.
func (r *run) disturb(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r.began = time.Now()
	loading, stop := context.WithCancel(ctx)
	defer stop()
	mix := events.Config{
		Seed: r.config.Seed, Size: 4000, TruncatedEvery: 311, UnknownTypeEvery: 433,
		ContainerEvery: 50,
	}
	for _, t := range topics {
		grown := &r.grown
		if t.framed {
			grown = &r.framed
		}
		r.loads = append(r.loads, &load{
			seeds: []string{r.stack.Endpoints.Kafka}, topic: t, rate: r.config.Rate * t.share, mix: mix, gate: &r.gate,
			grown: grown,
		})
	}
	var producing, acting sync.WaitGroup
	for _, l := range r.loads {
		producing.Go(func() {
			if err := l.run(loading); err != nil {
				fail(err)
			}
		})
	}
	for _, d := range Plan(r.config.Seed, r.config.Duration) {
		pause(ctx, time.Until(r.began.Add(d.At)))
		if ctx.Err() != nil {
			break
		}
		r.line("%s", d)
		r.results.disturbed(d.Kind)
		acting.Go(func() {
			if err := r.act(ctx, d); err != nil && ctx.Err() == nil {
				fail(fmt.Errorf("%s: %w", d, err))
			}
		})
	}
	acting.Wait()
	pause(ctx, time.Until(r.began.Add(r.config.Duration)))
	stop()
	producing.Wait()
	return context.Cause(ctx)
}

// drain waits until everything is committed. The faults are lifted.
func (r *run) drain(ctx context.Context) error {
	began := time.Now()
	log, err := r.stack.Log()
	if err != nil {
		return err
	}
	defer log.Close()
	// Nobody produces any more. The group's positions are behind records; behind the last one there may be the marker
	// of a replay's transaction.
	produced, err := log.Behind(ctx, names()...)
	if err != nil {
		return err
	}
	var processes []*stack.Process
	for _, s := range r.always() {
		processes = append(processes, s.Process)
	}
	const what = "everything is committed, since it became quiet"
	err = stack.Within(ctx, r.config.Drain, 100*time.Millisecond, what, func() error {
		committed, err := log.Committed(ctx, names()...)
		if err == nil && committed != produced {
			err = fmt.Errorf("%d of %d are%s", committed, produced, r.stuck())
		}
		return err
	}, processes...)
	r.results.drained = time.Since(began)
	return err
}

// stuck names a few lanes that are behind, and why.
func (r *run) stuck() string {
	var text strings.Builder
	n := 0
	for p, l := range r.watch.view(time.Time{}) {
		if (l.lane.State != "open" || l.lane.Lag > 0) && n < 5 {
			n++
			fmt.Fprintf(&text, "\n  %s/%d is %s at %d, lag %d: %s",
				p.topic, p.partition, l.lane.State, l.lane.Position, l.lane.Lag, l.lane.LastError)
		}
	}
	return text.String()
}

// progress says every two seconds how it goes.
func (r *run) progress(ctx context.Context) {
	pause(ctx, time.Second)
	stack.Every(ctx, 2*time.Second, func() {
		var made int64
		for _, l := range r.loads {
			made += l.made().Events
		}
		var lag int64
		for _, l := range r.watch.view(time.Time{}) {
			lag += l.lane.Lag
		}
		r.line("  produced %d  lag %d  lanes open %d of %d  kills %d  streams created %d finalized %d",
			made, lag, r.watch.open(),
			partitions(), r.results.deaths(), r.watch.total(created), r.watch.total(finalized))
	})
}

// line informs a person.
func (r *run) line(format string, args ...any) {
	r.say.Lock()
	defer r.say.Unlock()
	at := time.Duration(0)
	if !r.began.IsZero() {
		at = time.Since(r.began)
	}
	fmt.Fprintf(r.config.Out, "%3d:%04.1f  %s\n",
		int(at.Minutes()), at.Seconds()-60*float64(int(at.Minutes())), fmt.Sprintf(format, args...))
}
