package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"testing"
	"time"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// A stream that is gone took nothing only if nothing was confirmed and no request for which there was no response can
// still have been applied.
func TestUnwritten(t *testing.T) {
	lost := &fault{kind: renew, uncertain: true, expected: -1, received: -1}
	notFound := &fault{kind: gone, expected: -1, received: -1}
	for name, test := range map[string]struct {
		play func(q *queue, next func())
		want bool
	}{
		"the first response": {func(q *queue, _ func()) {
			q.reply(&reply{offset: -1, fault: notFound}, time.Time{})
		}, true},
		"the first call ends with it": {func(q *queue, _ func()) { q.down(notFound, time.Time{}) }, true},
		"after a row was written": {func(q *queue, _ func()) {
			q.accept(time.Time{})
			q.reply(&reply{offset: -1, fault: notFound}, time.Time{})
		}, false},
		"after a response was lost": {func(q *queue, next func()) {
			q.down(lost, time.Time{})
			next()
			q.down(notFound, time.Time{})
		}, false},
		"after one that says try again": {func(q *queue, next func()) {
			q.reply(&reply{offset: -1, fault: lost}, time.Time{})
			q.draining = 0
			next()
			q.down(notFound, time.Time{})
		}, false},
	} {
		q := newQueue(3, 1000, 0, func() float64 { return 0 })
		q.append(1, 1, frame([]byte("a")))
		q.append(2, 1, frame([]byte("b")))
		now := time.Unix(0, 0)
		next := func() {
			now = now.Add(time.Hour)
			for {
				switch s := q.next(now); s.do {
				case doConnect:
					q.up()
				case doSend:
				default:
					return
				}
			}
		}
		next()
		test.play(q, next)
		r := q.results[len(q.results)-1]
		if !errors.Is(r.Err, lane.ErrStreamGone) || r.Unwritten != test.want {
			t.Errorf("%s: %+v", name, r)
		}
		q.close()
	}
}

// Rows of a stranger are told from everything else that can be wrong with offsets.
func TestForeignRows(t *testing.T) {
	for _, test := range []struct {
		fate           fate
		expected, high int64
		err, foreign   bool
	}{
		{fresh, 15, 15, true, true},
		{fresh, -1, 15, true, true},
		{uncertain, 15, 15, false, false},
		{uncertain, 20, 20, false, false},
		{uncertain, 12, 15, true, true},
		{uncertain, -1, 15, true, false},
		{uncertain, 10, 15, true, false}, // nothing is there, which BigQuery denies
		{inDoubt, 16, 15, true, true},
	} {
		q := newQueue(10, 1000, 0, func() float64 { return 0 })
		q.high = test.high
		err := q.ours(&piece{rows: 5, fate: test.fate}, 10, &fault{kind: exists, expected: test.expected})
		if (err != nil) != test.err || errors.Is(err, lane.ErrForeignRows) != test.foreign {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// A request that cannot be written as JSON is no outage: nobody was asked, and asking again cannot help.
func TestEncodingIsNoOutage(t *testing.T) {
	_, value := json.Marshal(math.Inf(1))
	_, kind := json.Marshal(map[string]any{"f": func() {}})
	_, marshaler := json.Marshal(broken{})
	for _, err := range []error{value, kind, marshaler} {
		if err == nil || transient(fmt.Errorf("create: %w", err)) {
			t.Errorf("%v is tried again", err)
		}
	}
	if !transient(&url.Error{Op: "Post", Err: errors.New("connection refused")}) {
		t.Error("an outage is none")
	}
}

type broken struct{}

func (broken) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }
