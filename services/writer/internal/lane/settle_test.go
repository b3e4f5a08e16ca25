package lane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// bare is a lane with one table and a window, whose call is not there.
func bare(t *testing.T, launched int, window ...*batch) *lane {
	t.Helper()
	s := &Service{Sink: newBigQuery(t)}
	s.init()
	l := &lane{service: s, log: s.Log, open: &lanev1.Open{Topic: "t", Group: "g"}, phase: streaming, window: window, launched: launched}
	l.ctx, l.cancel = context.WithCancel(t.Context())
	l.tables = []table{{name: "a", stream: "a/streams/1", appender: newFakeAppender(t)}, {name: "b", stream: "b/streams/1", appender: newFakeAppender(t)}}
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
		"fenced":                            {err: ErrFinalized, code: codes.Aborted, says: "is finalized"},
		"gone":                              {err: ErrStreamGone, unwritten: true, code: codes.Aborted, says: "gone while rows were in flight"},
		"gone while idle":                   {err: ErrStreamGone, fresh: true, unwritten: true, says: "expired while the lane was idle"},
		"gone, though a row may be in it":   {err: ErrStreamGone, fresh: true, code: codes.Aborted, says: "gone while rows were in flight"},
		"gone while nobody can be asked":    {err: ErrStreamGone, fresh: true, unwritten: true, halfClosed: true, code: codes.Aborted, says: "gone while rows were in flight"},
		"a table without a stream, deleted": {err: ErrStreamGone, atLeastOnce: true, code: codes.Aborted, says: "makes it anew"},
		"rows of a stranger":                {err: ErrForeignRows, says: "no owner of this lane has appended"},
		"anything else":                     {err: errors.New("odd"), code: codes.Aborted, says: "append to a/streams/1: odd"},
		"unavailable":                       {err: refused(codes.Unavailable), code: codes.Aborted, says: "append to a/streams/1"},
		"invalid":                           {err: refused(codes.InvalidArgument), code: codes.FailedPrecondition},
		"precondition":                      {err: refused(codes.FailedPrecondition), code: codes.FailedPrecondition},
		"denied":                            {err: refused(codes.PermissionDenied), code: codes.FailedPrecondition},
		"unauthenticated":                   {err: refused(codes.Unauthenticated), code: codes.FailedPrecondition},
		"not found":                         {err: refused(codes.NotFound), code: codes.FailedPrecondition},
		"unimplemented":                     {err: refused(codes.Unimplemented), code: codes.FailedPrecondition},
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

// Two reasons to end are told as the first; the checkpoint that has to be durable shows both.
func TestTheFirstReasonEndsTheLane(t *testing.T) {
	l := bare(t, 1, &batch{sequence: 1, open: 2, blocks: []block{{table: 0, rows: 1}, {table: 1, rows: 1}}})
	for i := range l.tables {
		if err := l.result(i, &Result{ID: 1, Err: ErrForeignRows}); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(l.ending.Error(), "a/streams/1") || l.endsAt != 2 || !l.tables[0].tainted || !l.tables[1].tainted {
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
		{Group: "x", Cluster: "c", Topic: "t", Partition: 1}, {Group: "g", Cluster: "x", Topic: "t", Partition: 1}, {Group: "g", Cluster: "c", Topic: "x", Partition: 1}, {Group: "g", Cluster: "c", Topic: "t"},
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
