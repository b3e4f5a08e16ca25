package ingest

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"google.golang.org/grpc"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/replay"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
	"github.com/waybill-data/waybill/services/ingest/internal/writers"
)

// replaying is a replay that runs.
type replaying struct {
	*Replayer
	lanes   *roster
	fleet   *writers.Fleet
	letters *deadletter.Writer
	source  *source.Source
	pace    *replay.Pace

	mu sync.Mutex
	// at is how far each partition is that this process has carried.
	at map[int32]*carried
	// settled are the partitions of which all is settled, also by other processes; reported are those that it is kept
	// of.
	settled, reported map[int32]time.Time
	// bad counts records that became no row, by reason, and first is one of each.
	bad   map[string]int
	first map[string]string
	// past are earlier looks, for the rate.
	past []look
}

// carried is a partition, and its lane.
type carried struct {
	partition *replay.Partition
	lane      *lane.Lane
	// position is the last that was seen.
	position int64
	// rows and bytes are of lanes that have ended.
	rows, bytes uint64
}

// look is how far a replay was at a time.
type look struct {
	at      time.Time
	offsets int64
}

func (r *replaying) close() {
	r.letters.Close()
	_ = r.fleet.Close()
}

// carry is the source's handler: a lane that reads its range, and rests then.
func (r *replaying) carry(ctx context.Context, claim lane.Partition) {
	of, ours := r.Ranges[claim.Number()]
	r.mu.Lock()
	_, settled := r.settled[claim.Number()]
	r.mu.Unlock()
	if !ours || settled {
		<-ctx.Done()
		return
	}
	count := r.count
	if r.replay.Letters {
		count = nil
	}
	p := replay.NewPartition(claim, of, r.pace, count)
	l := r.lanes.enter(p)
	defer r.lanes.leave(l)
	r.mu.Lock()
	c := r.at[claim.Number()]
	if c == nil {
		c = &carried{position: of.From}
		r.at[claim.Number()] = c
	}
	c.partition, c.lane = p, l
	r.mu.Unlock()
	l.Run(ctx)
	r.look()
	r.mu.Lock()
	s := l.Status()
	c.rows, c.bytes, c.partition, c.lane = c.rows+s.Rows, c.bytes+s.Bytes, nil, nil
	r.mu.Unlock()
}

// count counts dead letters that are not written.
func (r *replaying) count(letters []lane.DeadLetter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range letters {
		d := &letters[i]
		if r.bad[d.Reason]++; r.first[d.Reason] == "" {
			r.first[d.Reason] = fmt.Sprintf("%s/%d/%d: %s", d.Record.Topic, d.Record.Partition, d.Record.Offset, d.Err)
		}
	}
}

// rateOver is over what time the rate is measured.
const rateOver = 30 * time.Second

// look says how far the replay is.
func (r *replaying) look() *Replayed {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &Replayed{Total: r.Total(), BadRecords: maps.Clone(r.bad), First: maps.Clone(r.first), Done: true}
	for partition, of := range r.Ranges {
		c := r.at[partition]
		if c == nil {
			c = &carried{position: of.From}
		}
		out.Rows, out.Bytes = out.Rows+c.rows, out.Bytes+c.bytes
		if c.lane != nil {
			s := c.lane.Status()
			c.position = max(c.position, s.Position)
			if _, known := r.settled[partition]; !known && c.partition.Settled(s.Position) {
				r.settled[partition] = time.Now()
			}
			out.Rows, out.Bytes = out.Rows+s.Rows, out.Bytes+s.Bytes
			if out.Waits == "" {
				out.Waits = s.WaitingFor
			}
		}
		if _, settled := r.settled[partition]; settled {
			out.Offsets += of.To - of.From
		} else {
			out.Offsets += min(max(c.position-of.From, 0), of.To-of.From)
			out.Done = false
		}
	}
	if !out.Done && out.Waits == "" && !r.carriesAny() {
		out.Waits = fmt.Sprintf("partitions of group %s, which gives up a member that was killed after %v", r.Group,
			r.config.Kafka.SessionTimeout.Std())
	}
	now := time.Now()
	r.past = append(r.past, look{now, out.Offsets})
	for len(r.past) > 2 && now.Sub(r.past[0].at) > rateOver {
		r.past = r.past[1:]
	}
	if was := r.past[0]; out.Offsets > was.offsets {
		out.Left = time.Duration(float64(now.Sub(was.at)) / float64(out.Offsets-was.offsets) *
			float64(out.Total-out.Offsets))
	}
	return out
}

// carriesAny reports whether a lane runs. The caller holds mu.
func (r *replaying) carriesAny() bool {
	for _, c := range r.at {
		if c.lane != nil {
			return true
		}
	}
	return false
}

// watch tells the progress until all is settled, a lane is refused, or ctx ends; then it stops the work.
func (r *replaying) watch(ctx context.Context, stop func(), progress func(*Replayed)) error {
	defer stop()
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	kept, looked := time.Now(), time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		now := r.look()
		progress(now)
		// What fails here is tried again with the next look, and in the end.
		if err := r.publish(ctx); err == nil && now.Done {
			return nil
		}
		if err := r.refused(); err != nil {
			return err
		}
		if time.Since(looked) >= followEvery {
			looked = time.Now()
			r.follow(ctx)
		}
		if time.Since(kept) >= keepEvery && r.keep(ctx, r.carries(), r.settledNow()) == nil {
			kept = time.Now()
		}
	}
}

// publish keeps which partitions are settled, where that is news.
func (r *replaying) publish(ctx context.Context) error {
	settled := r.settledNow()
	var news []int32
	for n, at := range settled {
		if r.reported[n] != at {
			news = append(news, n)
		}
	}
	if len(news) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, followEvery)
	defer cancel()
	if err := r.keep(ctx, news, settled); err != nil {
		return err
	}
	r.reported = settled
	return nil
}

// follow reads what other processes of the replay have settled.
func (r *replaying) follow(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, followEvery)
	defer cancel()
	kept, err := r.entries.Read(ctx)
	if err != nil {
		return // the next time
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for l, text := range kept {
		if w, err := replay.Parse(text); err == nil && !w.Done.IsZero() {
			if _, known := r.settled[l.Partition]; !known {
				r.settled[l.Partition] = w.Done
			}
		}
	}
}

func (r *replaying) settledNow() map[int32]time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.settled)
}

// carries are the partitions that this process has now.
func (r *replaying) carries() (all []int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n, c := range r.at {
		if c.lane != nil {
			all = append(all, n)
		}
	}
	return all
}

// refused is why a lane cannot go on without an operator.
func (r *replaying) refused() error {
	for _, l := range r.lanes.list() {
		if s := l.Status(); s.State == lane.Refused {
			return fmt.Errorf("%s/%d is refused: %s", s.Topic, s.Partition, s.LastError)
		}
	}
	return nil
}

func tableClient(conn grpc.ClientConnInterface) lanev1.TableServiceClient {
	return lanev1.NewTableServiceClient(conn)
}
