package steering

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/events"
	"github.com/waybill-data/waybill/pkg/fleetview"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
)

// partition is a lane of a test, and what Kafka says of its partition.
type partition struct {
	status lane.Status
	// end and committed are what Kafka says; kafka is its error.
	end, committed int64
	kafka          error
	skipped        []int64
	// settles is how long a record takes to be settled after the order, commits how long that takes to be committed.
	settles, commits time.Duration
	ordered          time.Time
}

func (p *partition) Skip(string, int32) (Skipper, bool) { return skipper{p}, true }

func (p *partition) End(context.Context, pauses.Lane) (int64, error) { return p.end, p.kafka }

func (p *partition) Committed(context.Context, pauses.Lane) (int64, error) {
	if len(p.skipped) > 0 && time.Since(p.ordered) >= p.settles+p.commits {
		return p.skipped[0] + 1, p.kafka
	}
	return p.committed, p.kafka
}

// skipper is the lane.
type skipper struct{ *partition }

func (s skipper) Status() lane.Status { return s.status }

func (s skipper) Skip(offset int64, _ string) error {
	s.skipped, s.ordered = append(s.skipped, offset), time.Now()
	return nil
}

func (s skipper) Skipped(int64) (lane.Became, bool) {
	return lane.BecameLetter, time.Since(s.ordered) >= s.settles
}

func (p *partition) skip(t *testing.T, offset int64) (*adminv1.SkipRecordResponse, error) {
	t.Helper()
	s := &Server{
		Contracts: topics{"orders"}, Lanes: p, Positions: p, Log: slog.New(slog.DiscardHandler),
		View: &fleetview.View{
			Events: events.New("ingest", 0), Self: &adminv1.ProcessResponse{Process: "a", Instance: "a"},
		},
	}
	return s.SkipRecord(t.Context(), &adminv1.SkipRecordRequest{
		Act: &adminv1.Act{Reason: "a test"}, Topic: "orders", Partition: 3, Offset: offset,
	})
}

// Whoever skips a record learns that it is a letter once that is committed, and not before: an ingest that died in
// between would leave it to another one, which has no such order.
func TestSkippedIsReportedOnceItIsCommitted(t *testing.T) {
	for name, tt := range map[string]struct {
		commits time.Duration
		settled bool
		took    time.Duration
		says    string
	}{
		"soon":  {time.Second, true, 2 * time.Second, "is a dead letter, and its lane is past it"},
		"never": {time.Hour, false, skippedWithin, "becomes a dead letter once its lane is there"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &partition{
					status: lane.Status{Position: 5, Lag: 5}, end: 10, committed: 5, settles: time.Second,
					commits: tt.commits,
				}
				began := time.Now()
				r, err := p.skip(t, 7)
				if err != nil || r.GetSettled() != tt.settled || !r.GetResult().GetChanged() ||
					!strings.Contains(r.GetResult().GetSummary(), tt.says) {
					t.Errorf("%v, %v", r, err)
				}
				if took := time.Since(began); took < tt.took || took > tt.took+time.Second {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

// What a lane knows of the end of its partition may be old: Kafka is asked before a record is said not to be there.
func TestSkippedAtAnEndThatIsNewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			end   int64
			kafka error
			code  codes.Code
			says  string
		}{
			"there by now":  {8, nil, codes.OK, ""},
			"not there yet": {7, nil, codes.FailedPrecondition, "the partition ends at offset 7"},
			"Kafka is away": {8, errors.New("no broker responds"), codes.Unavailable, "no broker responds"},
		} {
			p := &partition{status: lane.Status{Position: 5}, end: tt.end, committed: 5, kafka: tt.kafka}
			_, err := p.skip(t, 7)
			if status.Code(err) != tt.code || !strings.Contains(status.Convert(err).Message(), tt.says) {
				t.Errorf("%s: %v", name, err)
			}
			if skipped := len(p.skipped) > 0; skipped != (tt.code == codes.OK) {
				t.Errorf("%s: skipped %v", name, p.skipped)
			}
		}
	})
}
