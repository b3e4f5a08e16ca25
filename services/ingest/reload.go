package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/steering"
)

// reloader reads the contracts of a configuration file again while lanes run: steering.Reloader.
//
// Nothing of exactly once rests on it. What a lane may count rows by is the routing of its topic, which stays; with
// what it decodes, it may open at any time, as it does after a restart with another configuration. A lane that is
// told to open again settles what it has sent with the contracts of before, and takes those of now before it reads
// on.
type reloader struct {
	config *Config
	lanes  *roster
	env    contract.Env
	// writer compares tables; conn is to any of the writers.
	writer grpc.ClientConnInterface
	log    *slog.Logger
	every  time.Duration // how often subjects are looked at

	mu sync.Mutex
	// before are the contracts that Take replaced last; nil when it did not, or went back.
	before *contract.Set
	// replaced is closed, and made anew, when other contracts are in use.
	replaced chan struct{}
}

var _ steering.Reloader = (*reloader)(nil)

const (
	// readWithin is how long the contracts may take to be compiled: the registry may be asked.
	readWithin = 5 * time.Second
	// opensWithin is how long lanes may take to open again, before they are reported as waiting; looksEvery is how
	// often they are looked at.
	opensWithin, looksEvery = 15 * time.Second, 50 * time.Millisecond
)

// read compiles what the configuration file says now.
func (r *reloader) read(ctx context.Context, env contract.Env) (*contract.Set, error) {
	if r.config.Path == "" {
		return nil, status.Error(codes.FailedPrecondition, "this ingest was started without a configuration file")
	}
	c, err := Load(r.config.Path)
	if err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "%s: %v", r.config.Path, err)
	}
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	c.Registry = r.config.Registry // which is in use
	set, err := c.contracts(ctx, env)
	switch {
	case ctx.Err() != nil:
		return nil, status.Errorf(codes.Unavailable, "the contracts are not compiled within %v: does the schema "+
			"registry respond?", readWithin)
	case err != nil:
		return nil, status.Errorf(codes.FailedPrecondition, "contracts: %v", err)
	}
	return set, nil
}

// compiled reads the contracts, and refuses those that cannot take the place of the ones in use.
func (r *reloader) compiled(
	ctx context.Context, env contract.Env,
) (now, set *contract.Set, changed []string, err error) {
	if now = r.lanes.loaded(); now == nil {
		return nil, nil, nil, status.Error(codes.Unavailable, "the contracts are not loaded yet; try again in a moment")
	}
	if set, err = r.read(ctx, env); err != nil {
		return nil, nil, nil, err
	}
	if why := set.Rerouted(now); len(why) > 0 {
		return nil, nil, nil, status.Errorf(codes.FailedPrecondition, "%s: that takes a restart. Stop each ingest in "+
			"order (SIGTERM), so that no lane leaves rows to be counted by the old routing, and start it with the new "+
			"contracts", strings.Join(why, "; "))
	}
	merged, changed := set.After(now)
	return now, merged, changed, nil
}

// Compile implements steering.Reloader.
func (r *reloader) Compile(ctx context.Context) (*steering.Reload, error) {
	// Nothing of it is counted or logged.
	now, set, changed, err := r.compiled(ctx, contract.Env{Schemas: r.env.Schemas})
	if err != nil {
		return nil, err
	}
	out := &steering.Reload{Digest: set.Digest(), Changes: changes(now, set), Lanes: len(r.of(set, changed))}
	if len(changed) == 0 {
		return out, nil
	}
	return out, r.fits(ctx, set)
}

// fits asks a writer whether the tables take rows by contracts. The error has all differences for which they do not.
func (r *reloader) fits(ctx context.Context, set *contract.Set) error {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	diffs, err := diff(ctx, r.writer, set)
	if err != nil {
		return status.Errorf(codes.Unavailable, "%v; without a writer nobody knows whether the tables fit", err)
	}
	var mismatches []string
	for i := range diffs {
		mismatches = append(mismatches, diffs[i].Mismatches()...)
	}
	if len(mismatches) > 0 {
		return status.Errorf(codes.FailedPrecondition, "rows by these contracts would be refused: %s",
			strings.Join(mismatches, "; "))
	}
	return nil
}

// of are the lanes of topics that have changed, with their contracts.
func (r *reloader) of(set *contract.Set, changed []string) map[*lane.Lane]*contracts {
	keys := make(map[string]bool, len(changed))
	for _, key := range changed {
		keys[key] = true
	}
	r.lanes.mu.Lock()
	defer r.lanes.mu.Unlock()
	out := make(map[*lane.Lane]*contracts)
	for l, c := range r.lanes.lanes {
		if keys[set.Of(c.name)] {
			out[l] = c
		}
	}
	return out
}

// Take implements steering.Reloader.
func (r *reloader) Take(ctx context.Context, digest string) (waiting int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, set, changed, err := r.compiled(ctx, r.env)
	switch {
	case err != nil:
		return 0, err
	case set.Digest() != digest:
		return 0, status.Error(codes.Aborted, "the contracts have changed since they were compared; try again")
	case len(changed) == 0:
		return 0, nil
	}
	r.before = now
	lanes := r.use(set, changed)
	r.log.Info("contracts are loaded again", "changed", changed, "digest", digest, "lanes", len(lanes))
	return r.await(ctx, set, lanes)
}

// use has lanes work with contracts.
func (r *reloader) use(set *contract.Set, changed []string) map[*lane.Lane]*contracts {
	r.lanes.known.Store(set)
	set.Count()
	if r.replaced != nil {
		close(r.replaced)
		r.replaced = nil
	}
	lanes := r.of(set, changed)
	for l := range lanes {
		l.Again("its contracts were loaded again")
	}
	return lanes
}

// await waits until lanes run with contracts. The error is that one is refused with them.
func (r *reloader) await(
	ctx context.Context, set *contract.Set, lanes map[*lane.Lane]*contracts,
) (waiting int, err error) {
	tick := time.NewTicker(looksEvery)
	defer tick.Stop()
	for until := time.Now().Add(opensWithin); ; {
		waiting = 0
		for l, c := range lanes {
			s := l.Status()
			switch with := c.from.Load() == set; {
			case with && s.State == lane.Refused:
				return 0, status.Errorf(codes.FailedPrecondition, "lane %s/%d is refused: %s", s.Topic, s.Partition,
					s.LastError)
			case s.State == lane.Paused, s.State == lane.Fenced, s.State == lane.Ended,
				with && (s.State == lane.Open || s.State == lane.Stalled):
			default:
				waiting++
			}
		}
		if waiting == 0 || !time.Now().Before(until) {
			return waiting, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return waiting, status.FromContextError(ctx.Err()).Err()
		}
	}
}

// Before implements steering.Reloader.
func (r *reloader) Before(ctx context.Context) (*steering.Reload, error) {
	r.mu.Lock()
	before, now := r.before, r.lanes.loaded()
	r.mu.Unlock()
	if before == nil || now == nil {
		return nil, status.Error(codes.FailedPrecondition, "there is nothing to go back to: this ingest has not "+
			"loaded other contracts since it was started, or has gone back already")
	}
	_, changed := before.After(now)
	return &steering.Reload{
		Digest: now.Digest(), Changes: changes(now, before), Lanes: len(r.of(before, changed)),
	}, r.fits(ctx, before)
}

// GoBack implements steering.Reloader.
func (r *reloader) GoBack(_ context.Context, digest string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.lanes.loaded()
	if r.before == nil || now == nil || now.Digest() != digest {
		return nil
	}
	before := r.before
	r.before = nil
	_, changed := before.After(now)
	lanes := r.use(before, changed)
	r.log.Info("contracts are those of before again", "changed", changed, "lanes", len(lanes))
	return nil
}

// watch has the contracts in use learn what their subjects gain, until ctx ends.
func (r *reloader) watch(ctx context.Context) {
	for ctx.Err() == nil {
		r.mu.Lock()
		if r.replaced == nil {
			r.replaced = make(chan struct{})
		}
		set, replaced := r.lanes.loaded(), r.replaced
		r.mu.Unlock()
		watch, stop := context.WithCancel(ctx)
		var watching sync.WaitGroup
		watching.Go(func() { set.Watch(watch, r.every) })
		select {
		case <-replaced:
		case <-ctx.Done():
		}
		stop()
		watching.Wait()
	}
}

// diff asks a writer to compare the tables of contracts with their rows.
func diff(ctx context.Context, writer grpc.ClientConnInterface, set *contract.Set) ([]TableDiff, error) {
	return diffEntries(ctx, lanev1.NewTableServiceClient(writer), append(set.Entries(), set.Unknown()...))
}

// changes says what is different in contracts, one by one.
func changes(old, set *contract.Set) []*adminv1.ContractChange {
	was := map[string]*contract.Entry{}
	for _, e := range old.Entries() {
		was[topicOf(&e)+" "+e.Name] = &e
	}
	var out []*adminv1.ContractChange
	for _, e := range set.Entries() {
		key := topicOf(&e) + " " + e.Name
		o := was[key]
		delete(was, key)
		what := []string{"is new"}
		if o != nil {
			what = differences(o, &e)
		}
		if len(what) > 0 {
			out = append(out, &adminv1.ContractChange{Contract: e.Name, Topic: e.Topic + e.TopicPattern, What: what})
		}
	}
	for _, e := range old.Entries() {
		if was[topicOf(&e)+" "+e.Name] != nil {
			out = append(out, &adminv1.ContractChange{
				Contract: e.Name, Topic: e.Topic + e.TopicPattern, What: []string{"is gone"},
			})
		}
	}
	return out
}

// differences are those of one contract: its columns, and what its entry says.
func differences(old, e *contract.Entry) (what []string) {
	was := map[string]string{}
	for _, c := range columnsOf(old.Route) {
		was[c.GetName()] = c.GetType() + " " + c.GetMode()
	}
	for _, c := range columnsOf(e.Route) {
		is := c.GetType() + " " + c.GetMode()
		switch had, ok := was[c.GetName()]; {
		case !ok:
			what = append(what, fmt.Sprintf("column %s %s is new", c.GetName(), is))
		case had != is:
			what = append(what, fmt.Sprintf("column %s is %s in place of %s", c.GetName(), is, had))
		}
		delete(was, c.GetName())
	}
	for _, c := range columnsOf(old.Route) {
		if _, gone := was[c.GetName()]; gone {
			what = append(what, fmt.Sprintf("rows have no column %s any more", c.GetName()))
		}
	}
	what = append(what, contract.Says(old, e)...)
	if !e.SameSchema(old) {
		what = append(what, "the schema is another text")
	}
	return what
}
