package ingest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/steering"
	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
	"github.com/waybill-data/waybill/services/ingest/internal/replay"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// What refuses a replay has the code that says what to do, the field in place of the flag, and no word of gRPC's.
func TestReplayRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		code codes.Code
		want string
	}{
		"a name": {
			fmt.Errorf("--topic: %w", steering.NotFound("topic", "order", []string{"orders"})), codes.NotFound,
			`topic: there is no topic "order"; the nearest is "orders"`,
		},
		"a refusal":     {errors.New("--into: it would be twice"), codes.FailedPrecondition, "into: it would be twice"},
		"no flag":       {errors.New("a: b"), codes.FailedPrecondition, "a: b"},
		"Kafka is away": {away(errors.New("no broker responds")), codes.Unavailable, "no broker responds"},
		"in time": {
			fmt.Errorf("x: %w", context.DeadlineExceeded), codes.Unavailable, "x: context deadline exceeded",
		},
		"no right": {
			away(fmt.Errorf("%w of group g", source.ErrPlanRefused)), codes.FailedPrecondition,
			source.ErrPlanRefused.Error() + " of group g",
		},
	} {
		if s := status.Convert(replayRefused(tt.err)); s.Code() != tt.code || s.Message() != tt.want {
			t.Errorf("%s: %v %q; want %v %q", name, s.Code(), s.Message(), tt.code, tt.want)
		}
	}
}

// What Kafka keeps of a replay is shown: how far it is by what its lanes have committed and settled, and whether it is
// done, is run, or is not. Other groups with such names are none.
func TestKeptReplays(t *testing.T) {
	k := &keptReplays{group: "g"}
	begun := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	word := func(from, to int64, done bool) string {
		w := replay.Entry{Range: replay.Range{From: from, To: to}, Tables: map[string]string{"a": "b"}, Begun: begun}
		if done {
			w.Done = begun.Add(time.Hour)
		}
		text, err := w.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	at := func(n int32) pauses.Lane { return pauses.Lane{Topic: "orders", Partition: n} }
	p := &source.Plan{
		Group: "g-replay-fix", Entries: map[pauses.Lane]string{at(1): word(10, 20, false), at(0): word(0, 100, true)},
		Positions: map[pauses.Lane]int64{at(1): 14},
	}
	r := k.shown(p)
	if r.GetName() != "fix" || r.GetState() != "interrupted" || r.GetSettled() != 104 || r.GetTotal() != 110 ||
		r.GetTables()["a"] != "b" || len(r.GetRanges()) != 2 || r.GetRanges()[0].GetPartition() != 0 ||
		!r.GetStarted().AsTime().Equal(begun) {
		t.Errorf("%v", r)
	}
	p.Hosts = []string{"10.0.0.7"}
	if r = k.shown(p); r.GetState() != "running" || r.GetWaits() != "a command at 10.0.0.7" {
		t.Errorf("at work: %v", r)
	}
	p.Entries[at(1)] = word(10, 20, true)
	if r = k.shown(p); r.GetState() != "done" || r.GetSettled() != 110 || r.GetEnded() == nil {
		t.Errorf("done: %v", r)
	}
	p.Entries[at(2)] = "a checkpoint"
	if r = k.shown(p); r != nil {
		t.Errorf("another group: %v", r)
	}
}
