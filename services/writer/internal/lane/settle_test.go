package lane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// bare is a lane with one table and a window, whose call is not there.
func bare(t *testing.T, launched int, window ...*batch) *lane {
	t.Helper()
	s := &Service{Sink: newBigQuery(t)}
	s.init()
	l := &lane{
		service: s, log: s.Log, open: &lanev1.Open{Topic: "t", Group: "g"}, phase: streaming, window: window,
		launched: launched,
	}
	l.ctx, l.cancel = context.WithCancel(t.Context())
	l.settled.Settled, l.rest = new(lanev1.Settled), time.NewTimer(time.Hour)
	l.tables = []table{
		{name: "a", stream: "a/streams/1", appender: newFakeAppender(t)},
		{name: "b", stream: "b/streams/1", appender: newFakeAppender(t)},
	}
	return l
}

func newFakeAppender(t *testing.T) *fakeAppender {
	return &fakeAppender{q: newBigQuery(t), closed: make(chan struct{}), resumed: make(chan struct{}, 1)}
}

// A result is one of the append that is in flight to its table, and of no other.
func TestFind(t *testing.T) {
	first := &batch{sequence: 5, blocks: []block{{table: 0, rows: 1}, {table: 1, rows: 1, done: true}}}
	second := &batch{sequence: 6, blocks: []block{{table: 1, rows: 1}}}
	held := &batch{sequence: 7, blocks: []block{{table: 0, rows: 1}}}
	for _, test := range []struct {
		launched int
		sequence uint64
		table    int
		want     *batch
	}{
		{2, 5, 0, first},
		{2, 5, 1, nil}, // done
		{2, 6, 1, second},
		{2, 6, 0, nil}, // no block of it
		{2, 7, 0, nil}, // held
		{3, 7, 0, held},
		{2, 4, 0, nil}, // settled
		{2, 8, 0, nil},
		{0, 5, 0, nil},
	} {
		l := bare(t, test.launched, first, second, held)
		if b, bl := l.find(test.sequence, test.table); b != test.want || (bl == nil) != (test.want == nil) {
			t.Errorf("%+v: found %v", test, b)
		}
	}
	if b, _ := bare(t, 0).find(1, 0); b != nil {
		t.Error("found a batch in an empty window")
	}
}

// What a table's appender says after the lane has closed it means nothing.
func TestResultsOfAClosedAppender(t *testing.T) {
	l := bare(t, 1, &batch{sequence: 1, open: 1, blocks: []block{{table: 0, rows: 1}}})
	l.tables[0].appender = nil
	for _, r := range []Result{{ID: 1, Written: 1}, {ID: 1, Err: errors.New("late")}, {ID: 9, Written: 3}} {
		if err := l.result(0, &r); err != nil || l.window[0].open != 1 {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// What ends a table's appender ends the lane: with a code that says who may go on.
func TestBroken(t *testing.T) {
	refused := func(c codes.Code) error { return fmt.Errorf("append: %w", status.Error(c, "no")) }
	for name, test := range map[string]struct {
		err                                       error
		fresh, unwritten, halfClosed, atLeastOnce bool
		code                                      codes.Code // OK: the lane ends once a checkpoint is durable
		says                                      string
	}{
		"fenced": {err: ErrFinalized, code: codes.Aborted, says: "is finalized"},
		"gone": {
			err: ErrStreamGone, unwritten: true, code: codes.Aborted,
			says: "write stream a/streams/1 is gone while rows were in flight",
		},
		"gone while idle": {
			err: ErrStreamGone, fresh: true, unwritten: true, says: "expired while the lane was idle",
		},
		"gone, though a row may be in it": {
			err: ErrStreamGone, fresh: true, code: codes.Aborted, says: "gone while rows were in flight",
		},
		"odd while idle": {
			err: errors.New("odd"), fresh: true, unwritten: true, code: codes.Aborted,
			says: "append to a/streams/1: odd",
		},
		"gone while nobody can be asked": {
			err: ErrStreamGone, fresh: true, unwritten: true, halfClosed: true, code: codes.Aborted,
			says: "gone while rows were in flight",
		},
		"a table without a stream, deleted": {
			err: ErrStreamGone, atLeastOnce: true, code: codes.Aborted, says: "makes it anew",
		},
		"denied, without a stream": {
			err: refused(codes.PermissionDenied), atLeastOnce: true, code: codes.FailedPrecondition,
			says: "append to the default stream of a: ",
		},
		"rows of a stranger": {err: ErrForeignRows, says: "no owner of this lane has appended"},
		"anything else": {
			err: errors.New("odd"), code: codes.Aborted, says: "append to a/streams/1: odd",
		},
		"unavailable": {
			err: refused(codes.Unavailable), code: codes.Aborted, says: "append to a/streams/1",
		},
		"invalid":         {err: refused(codes.InvalidArgument), code: codes.FailedPrecondition},
		"precondition":    {err: refused(codes.FailedPrecondition), code: codes.FailedPrecondition},
		"denied":          {err: refused(codes.PermissionDenied), code: codes.FailedPrecondition},
		"unauthenticated": {err: refused(codes.Unauthenticated), code: codes.FailedPrecondition},
		"not found":       {err: refused(codes.NotFound), code: codes.FailedPrecondition},
		"unimplemented":   {err: refused(codes.Unimplemented), code: codes.FailedPrecondition},
	} {
		l := bare(t, 1, &batch{sequence: 1, open: 1, blocks: []block{{table: 0, rows: 1}}})
		l.halfClosed = test.halfClosed
		l.tables[0].fresh, l.tables[0].repeats = test.fresh, test.atLeastOnce
		err := l.result(0, &Result{ID: 1, Err: fmt.Errorf("%w", test.err), Unwritten: test.unwritten})
		if status.Code(err) != test.code {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			err = l.ending
			if l.wanted != l.version || l.endsAt != l.version || l.version == 0 || l.tables[0].appender != nil {
				t.Errorf("%s: the lane goes on: %+v", name, l)
			}
		}
		if !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}
}

// Two reasons to end are reported as the first; the checkpoint that has to be durable shows both.
func TestTheFirstReasonEndsTheLane(t *testing.T) {
	l := bare(t, 1, &batch{sequence: 1, open: 2, blocks: []block{{table: 0, rows: 1}, {table: 1, rows: 1}}})
	for i := range l.tables {
		if err := l.result(i, &Result{ID: 1, Err: ErrForeignRows}); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(l.ending.Error(), "a/streams/1") || l.endsAt != 2 || !l.tables[0].tainted ||
		!l.tables[1].tainted {
		t.Errorf("ends at %d with %v", l.endsAt, l.ending)
	}
	l.awaiting = true // the barrier of both
	if l.durable = 1; l.advance() != nil {
		t.Error("the lane ended before both marks were durable")
	}
	l.durable = 2
	if err := l.advance(); err == nil || err.Error() != l.ending.Error() {
		t.Errorf("ended with %v", err)
	}
}

// What a process remembers of strangers is bounded, and by lane.
func TestStrangersAreRemembered(t *testing.T) {
	s := &Service{Sink: newBigQuery(t)}
	s.init()
	open := &lanev1.Open{Group: "g", Cluster: "c", Topic: "t", Partition: 1}
	s.remember(suspectOf(open, "s"))
	if !s.suspects(suspectOf(open, "s")) {
		t.Error("forgotten")
	}
	for _, other := range []*lanev1.Open{
		{Group: "x", Cluster: "c", Topic: "t", Partition: 1},
		{Group: "g", Cluster: "x", Topic: "t", Partition: 1},
		{Group: "g", Cluster: "c", Topic: "x", Partition: 1},
		{Group: "g", Cluster: "c", Topic: "t"},
	} {
		if s.suspects(suspectOf(other, "s")) {
			t.Errorf("%v is suspected", other)
		}
	}
	for i := range 2 * maxStrangers {
		s.remember(suspect{stream: fmt.Sprint(i)})
	}
	if n := len(s.strangers); n != maxStrangers {
		t.Errorf("%d are remembered", n)
	}
}

// recorder is a call's stream that records what was sent, or fails.
type recorder struct {
	grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]
	sent []*lanev1.LaneResponse
	err  error
}

func (h *recorder) Send(m *lanev1.LaneResponse) error {
	h.sent = append(h.sent, proto.CloneOf(m))
	return h.err
}
func (h *recorder) Context() context.Context { return context.Background() }

// A row is refused once, and ingest learns of it or the lane ends.
func TestRefusedRows(t *testing.T) {
	three := func() *batch { return &batch{sequence: 1, end: 3, open: 1, blocks: []block{{table: 0, rows: 3}}} }
	refuse := func(l *lane, rows ...int) error {
		r := Result{ID: 1}
		for _, row := range rows {
			r.Refused = append(r.Refused, RefusedRow{Row: row, Message: strings.Repeat("é", maxRefusedText)})
		}
		return l.result(0, &r)
	}
	l, h := bare(t, 1, three()), &recorder{}
	l.stream = h
	for _, rows := range [][]int{{0, 2}, {1}} {
		if err := refuse(l, rows...); err != nil {
			t.Fatal(err)
		}
	}
	if err := refuse(l, 1); status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "refused 4 of 3 rows") {
		t.Errorf("a row was refused twice: %v", err)
	}
	if got := h.sent[0].GetRefused().GetRows(); len(h.sent) != 2 || len(got) != 2 || got[1].GetRow() != 2 ||
		len(got[0].GetMessage()) > maxRefusedText || !utf8.ValidString(got[0].GetMessage()) {
		t.Errorf("ingest was told %v", h.sent)
	}
	l, h = bare(t, 1, three()), &recorder{err: errors.New("gone")}
	l.stream = h
	if err := refuse(l, 0); err == nil || err.Error() != "gone" {
		t.Errorf("ingest is gone: %v", err)
	}
	// As many as one message may hold, and more.
	l, h = bare(t, 1, &batch{sequence: 1, end: 2000, open: 1, blocks: []block{{rows: 2000}}}), &recorder{}
	l.stream = h
	rows := make([]int, maxRefusedRows+1)
	for i := range rows {
		rows[i] = i
	}
	if err := refuse(l, rows...); err != nil || len(h.sent) != 2 ||
		len(h.sent[0].GetRefused().GetRows()) != maxRefusedRows || len(l.refusals) != 2 {
		t.Errorf("%d messages: %v", len(h.sent), err)
	}
}

// A response is one of the batch that it names, in the order of what was refused.
func TestResponsesOfRefusedRows(t *testing.T) {
	l := bare(t, 2, &batch{sequence: 1, start: 0, end: 10, open: 1, blocks: []block{{rows: 10}}}, &batch{
		sequence: 2, start: 10, end: 20, open: 1, blocks: []block{{rows: 10}},
	})
	l.counts = true
	l.refusals = []refusal{{sequence: 1, rows: 1}, {sequence: 2, rows: 2}, {sequence: 2, rows: 1}}
	response := func(sequence uint64, offsets ...int64) error {
		return l.recordLeftOut(&lanev1.LeftOut{Sequence: sequence, Offsets: offsets})
	}
	for _, test := range []struct {
		sequence uint64
		offsets  []int64
		says     string
	}{
		{3, []int64{15}, "no refused rows of that batch"},
		{2, []int64{15}, "has 1 offsets, but 2 rows"},
		{2, []int64{15, 20}, "stay below 20"},
		{2, []int64{9, 15}, "ascend from 10"},
		{2, []int64{15, 16}, ""},
		{2, []int64{15, 16}, "has 2 offsets, but 1 rows"},
		{2, []int64{19}, ""},
		{2, []int64{19}, "no refused rows of that batch"},
		{1, []int64{0}, ""},
	} {
		err := response(test.sequence, test.offsets...)
		if test.says == "" && err != nil || test.says != "" && (status.Code(err) != codes.InvalidArgument ||
			!strings.Contains(err.Error(), test.says)) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// Refused rows are left out as far as a checkpoint may hold them: those of the oldest batch up to what Kafka takes, for
// nothing would make room for them; those of others while it stays small.
func TestLeavingRefusedRowsOut(t *testing.T) {
	offsets := func(from, n int64) []int64 {
		var out []int64
		for i := range n {
			out = append(out, from+2*i)
		}
		return out
	}
	for name, test := range map[string]struct {
		sequence uint64
		n        int64
		code     codes.Code
		left     bool
	}{
		"few of a younger batch":         {2, 10, codes.OK, true},
		"many of a younger batch":        {2, 500, codes.OK, false},
		"too many of a younger batch":    {2, 5000, codes.OK, false},
		"few of the oldest":              {1, 10, codes.OK, true},
		"many of the oldest":             {1, 500, codes.OK, true},
		"more than Kafka takes of it":    {1, 5000, codes.FailedPrecondition, false},
		"no response yet":                {3, 10, codes.OK, false},
		"left out already, and not anew": {4, 10, codes.OK, false},
	} {
		l := bare(t, 2, &batch{sequence: 1, end: 20000, open: 1},
			&batch{sequence: 2, start: 20000, end: 40000, open: 1})
		l.service.Limits.CheckpointBytes = 300
		r := refusal{
			sequence: min(test.sequence, 2), acknowledged: test.sequence != 3, explained: test.sequence == 4,
			parked: offsets(int64(test.sequence-1)*20000, test.n),
		}
		l.refusals = []refusal{r}
		err := l.leaveOutRefused()
		if got := &l.refusals[0]; status.Code(err) != test.code || (len(l.left) > 0) != test.left ||
			test.left != (got.explained && got.version == 1 && l.wanted == 1 && got.parked == nil) {
			t.Errorf("%s: %v, %d ranges left out, %+v", name, err, len(l.left), got.explained)
		}
		if err != nil && status.Code(l.advance()) != test.code {
			t.Errorf("%s: the lane goes on", name)
		}
	}
}

// A table's appender goes on once all its refused rows are left out, durably where that matters, and once.
func TestResume(t *testing.T) {
	open := func(table int) refusal { return refusal{table: table, acknowledged: true} }
	waits := func(table int) refusal { return refusal{table: table, explained: true, version: 6} }
	done := func(table int) refusal { return refusal{table: table, explained: true, version: 5} }
	for name, test := range map[string]struct {
		refusals []refusal
		resumed  [2]int
		kept     int
	}{
		"done":                                   {[]refusal{done(0)}, [2]int{1, 0}, 0},
		"not durable yet":                        {[]refusal{waits(0)}, [2]int{0, 0}, 1},
		"not explained":                          {[]refusal{open(0)}, [2]int{0, 0}, 1},
		"twice":                                  {[]refusal{done(0), done(0)}, [2]int{1, 0}, 0},
		"both tables":                            {[]refusal{done(0), done(1)}, [2]int{1, 1}, 0},
		"another one before":                     {[]refusal{open(0), done(0)}, [2]int{0, 0}, 1},
		"another one before, and other tables":   {[]refusal{open(0), open(1), done(0)}, [2]int{0, 0}, 2},
		"another one behind":                     {[]refusal{done(0), waits(0)}, [2]int{0, 0}, 1},
		"another one behind, and other tables":   {[]refusal{done(0), waits(0), open(1)}, [2]int{0, 0}, 2},
		"one that other tables do not keep":      {[]refusal{open(1), done(0), waits(1)}, [2]int{1, 0}, 2},
		"one whose kept twin is behind others":   {[]refusal{done(1), waits(0), done(0)}, [2]int{0, 1}, 1},
		"one of a table that was closed as well": {[]refusal{done(0), done(1)}, [2]int{1, 0}, 0},
	} {
		l := bare(t, 0)
		l.durable, l.refusals = 5, test.refusals
		appenders := [2]*fakeAppender{l.tables[0].appender.(*fakeAppender), l.tables[1].appender.(*fakeAppender)}
		if strings.Contains(name, "closed") {
			l.tables[1].appender = nil
		}
		l.resume()
		for i, a := range appenders {
			if len(a.resumed) != test.resumed[i] {
				t.Errorf("%s: table %d was resumed %d times", name, i, len(a.resumed))
			}
		}
		if len(l.refusals) != test.kept {
			t.Errorf("%s: %d are kept", name, len(l.refusals))
		}
	}
}
