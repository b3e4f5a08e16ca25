package lane

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// keyVersions are the versions of keyContracts, shared by the lanes of a process. A record whose value starts with v
// and a digit wants that version or a later one.
type keyVersions struct {
	mu     sync.Mutex
	newest int
	// away is closed when the registry comes back; nil when it responds at once.
	away chan struct{}
}

// wants is the version that a value wants, written as offset:value.
func wants(value string) int {
	_, value, _ = strings.Cut(value, ":")
	if len(value) > 1 && value[0] == 'v' && value[1] >= '0' && value[1] <= '9' {
		return int(value[1] - '0')
	}
	return 0
}

// learn makes the versions that the records want, and returns the newest.
func (v *keyVersions) learn(ctx context.Context, records []record.Record, waits func(string)) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range records {
		n := wants(string(records[i].Value))
		if n <= v.newest {
			continue
		}
		away := v.away
		v.mu.Unlock()
		var err error
		if away != nil {
			waits(fmt.Sprint("version ", n))
			select {
			case <-away:
			case <-ctx.Done():
				err = ctx.Err()
			}
			waits("")
		}
		v.mu.Lock()
		if err != nil {
			return 0, err
		}
		v.newest = max(v.newest, n)
	}
	return v.newest, nil
}

func (v *keyVersions) set(away chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.away = away
}

func (k *keyContracts) Renew() {
	if k.versions == nil {
		return
	}
	k.versions.mu.Lock()
	defer k.versions.mu.Unlock()
	k.at = k.versions.newest
}

func (k *keyContracts) Prepare(
	ctx context.Context, records []record.Record, waits func(string),
) (grown bool, err error) {
	if k.versions == nil {
		return false, nil
	}
	newest, err := k.versions.learn(ctx, records, waits)
	return newest > k.at, err
}

func (k *keyContracts) Routes() []*lanev1.Route {
	row := &lanev1.Route_Message{Message: fmt.Sprint("row:v", k.at)}
	return []*lanev1.Route{{Table: "a", Row: row}, {Table: "b", Row: row}}
}

// versionOf is the version of a route's rows.
func versionOf(r *lanev1.Route) int { return wants(r.GetMessage()) }

// A contract grows under load, twice: nothing is lost or repeated, rows come with routes that have their fields, and
// the write streams are adopted.
func TestContractGrows(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.start(small)
		go func() {
			for i := range 300 {
				w.log.produce([]string{"a", "b"}[i%2], fmt.Sprintf("v%d row %d", i/100, i))
				time.Sleep(3 * time.Millisecond)
			}
		}()
		time.Sleep(time.Second)
		w.settle()
		w.verify()
		if len(w.store.streams) != 2 || w.model.adopted != 4 {
			t.Errorf("%d streams, %d adopted: growing makes no new ones", len(w.store.streams), w.model.adopted)
		}
		p.end()
		checkBudget(t, p)
	})
}

// Other lanes of the process take a new version when they read next, without asking anybody.
func TestOtherLanesFollow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		versions := &keyVersions{}
		w.log.produce("a", "first")
		w.start(func(p *process) { p.lane.Contracts = &keyContracts{fingerprint: 7, versions: versions} })
		w.settle()
		versions.newest, versions.away = 3, make(chan struct{})
		w.log.produce("a", "v3 second")
		w.settle()
		w.verify()
	})
}

// While records wait for the registry the status says so; what was read before is settled, and position and state stay
// as they are.
func TestStatusSaysWhatALaneWaitsFor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		back := make(chan struct{})
		versions := &keyVersions{away: back}
		p := w.start(func(p *process) { p.lane.Contracts = &keyContracts{fingerprint: 7, versions: versions} })
		w.log.produce("a", "first")
		w.settle()
		if s := p.lane.Status(); s.WaitingFor != "" {
			t.Errorf("waits for %q before anything is asked", s.WaitingFor)
		}
		w.log.produce("a", "v3 second")
		time.Sleep(time.Minute)
		if s := p.lane.Status(); s.WaitingFor != "version 3" || s.State != Open || s.Position != 1 {
			t.Errorf("while the registry is away: %+v", s)
		}
		close(back)
		w.settle()
		if s := p.lane.Status(); s.WaitingFor != "" || s.Position != 2 {
			t.Errorf("afterwards: %+v", s)
		}
		w.verify()
	})
}

// So it does while a dead letter cannot be produced.
func TestStatusSaysWhatADeadLetterWaitsFor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		granted := make(chan struct{})
		p := w.start(func(p *process) { p.member.denied = granted })
		w.log.produce("a", "bad")
		w.produceRows("a", 2)
		time.Sleep(time.Minute)
		if s := p.lane.Status(); s.WaitingFor != "the right to write" || s.State != Stalled {
			t.Errorf("while it may not be written: %+v", s)
		}
		close(granted)
		w.settle()
		if s := p.lane.Status(); s.WaitingFor != "" || s.DeadLetters != 1 {
			t.Errorf("afterwards: %+v", s)
		}
		w.verify()
	})
}
