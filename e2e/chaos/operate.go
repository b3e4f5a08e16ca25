package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// shadow is the table that the delivery topic is replayed into, beside all else.
const shadow = "delivery_events_shadow"

// actWithin bounds an act of an operator: who is asked may be about to die.
const actWithin = 8 * time.Second

// operate does what an operator would while everything fails, asking one ingest after the other. An act that fails is
// none: whoever was asked may be dead, or its brokers away. The error is of an act whose response says nothing.
func (r *run) operate(ctx context.Context, d Disturbance) error {
	var args []string
	check := func([]byte) error { return nil }
	switch topic := topics[d.Target%len(topics)].name; d.Kind {
	case PauseLanes:
		args = []string{"pause", "--topic", topic, "--for", d.For.String()}
	case MoveLane:
		writer := fmt.Sprintf("writer-%d", d.Times%writers+1)
		if d.Times%writers == 0 {
			writer = "writer"
		}
		args = []string{"move", "--topic", topic, "--partition", strconv.Itoa(d.Times % 4), "--to", writer}
	case SkipRecord:
		at, offset, ok := r.nextOf(topic)
		if !ok {
			return nil // all is settled
		}
		record := fmt.Sprintf("%s/%d/%d", at.topic, at.partition, offset)
		args = []string{"skip", record, "--reason", "chaos", "-o", "json"}
		r.results.order(at, offset)
		check = func(out []byte) error { return r.results.skipped(at, offset, out) }
	default:
		args = []string{"reload"}
	}
	done := false
	for _, s := range r.stack.Ingests { // one that is paused says nothing
		if done || !s.Running() {
			continue
		}
		short, cancel := context.WithTimeout(ctx, actWithin)
		out, err := r.ingest(short, append(args, "--at", s.GRPC)...)
		cancel()
		if done = err == nil; done {
			if err := check(out); err != nil {
				return err
			}
		}
	}
	r.results.acted(done)
	return nil
}

// ingest runs a command of ingest, and returns what it prints.
func (r *run) ingest(ctx context.Context, args ...string) ([]byte, error) {
	path := filepath.Join(r.config.Dir, "logs", "operator.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	fmt.Fprintf(log, "--- %s %v\n", time.Now().Format(time.RFC3339Nano), args)
	cmd := exec.CommandContext(ctx, filepath.Join(r.config.Bin, "ingest"),
		append(args, "--config", r.stack.Ingests[0].Config)...)
	cmd.Stderr = log
	out, err := cmd.Output()
	fmt.Fprintf(log, "%s%v\n", out, err)
	return out, err
}

// replayTopic replays the delivery topic into the shadow table, as far as it gets until it is killed.
func (r *run) replayTopic(ctx context.Context) (*replayedTopic, error) {
	out, err := r.ingest(ctx, "replay", "--name", "chaos", "--topic", stack.DeliveryTopic, "--into", shadow, "-o",
		"json")
	if err != nil {
		return nil, err
	}
	said := &replayedTopic{}
	return said, json.Unmarshal(out, said)
}

// replayTopicInStorm does so for as long as the disturbance lasts. What goes wrong then, a later one makes good.
func (r *run) replayTopicInStorm(ctx context.Context, d Disturbance) {
	if !r.shadowing.TryLock() {
		return
	}
	defer r.shadowing.Unlock()
	short, cancel := context.WithTimeout(ctx, d.For)
	defer cancel()
	_, err := r.replayTopic(short)
	r.results.shadowed(err != nil)
}

// replayedTopic is what a replay of a topic says in the end.
type replayedTopic struct {
	Ranges map[string]struct{ From, To int64 }
	Now    struct{ Done bool }
}

// replayTopicToTheEnd lets the replay end, when all is quiet.
func (r *run) replayTopicToTheEnd(ctx context.Context) error {
	r.shadowing.Lock()
	defer r.shadowing.Unlock()
	what := "the replay of " + stack.DeliveryTopic + " comes to its end, see logs/operator.log"
	return stack.Within(ctx, r.config.Drain, 300*time.Millisecond, what, func() error {
		said, err := r.replayTopic(ctx)
		switch {
		case err != nil:
			return err
		case !said.Now.Done:
			return errors.New("it is under way")
		}
		r.replayedTopic = said
		r.results.shadowed(false)
		return nil
	})
}

// shadowed is what the shadow table holds against the table itself.
type shadowed struct {
	Rows, Lost, Repeated, Strange int64
}

func (s shadowed) ok() bool { return s.Rows > 0 && s.Lost+s.Repeated+s.Strange == 0 }

func (s shadowed) String() string {
	return fmt.Sprintf("%s: %d rows of a replay, lost %d, duplicates %d, of other records %d", shadow, s.Rows, s.Lost,
		s.Repeated, s.Strange)
}

// compareShadow compares the rows of the replay with those of the topic's own table, which are compared with Kafka.
// A record that was skipped has no row there, and may have one of the replay.
func (r *run) compareShadow(ctx context.Context, why map[int32]map[int64]reasons) (shadowed, error) {
	type place struct {
		partition int32
		offset    int64
	}
	want := map[place]bool{}
	if err := r.stack.EachPlace(ctx, "delivery_events", func(p stack.Place) {
		of, ok := r.replayedTopic.Ranges[strconv.Itoa(int(p.Partition))]
		if ok && of.From <= p.Offset && p.Offset < of.To {
			want[place{p.Partition, p.Offset}] = true
		}
	}); err != nil {
		return shadowed{}, err
	}
	var s shadowed
	got := map[place]bool{}
	err := r.stack.EachPlace(ctx, shadow, func(p stack.Place) {
		s.Rows++
		at := place{p.Partition, p.Offset}
		switch {
		case got[at]:
			s.Repeated++
		case !want[at] && why[p.Partition][p.Offset]&forSkip == 0:
			s.Strange++
		}
		got[at] = true
	})
	for at := range want {
		if !got[at] {
			s.Lost++
		}
	}
	return s, err
}

func (r *results) acted(done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.acts++; done {
		r.actsDone++
	}
}

func (r *results) shadowed(killed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shadows++; killed {
		r.shadowKills++
	}
}
