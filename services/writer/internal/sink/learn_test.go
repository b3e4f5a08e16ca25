package sink

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// numberedWords are n different words.
func numberedWords(n int) []string {
	words := make([]string, n)
	for i := range words {
		words[i] = fmt.Sprintf("row-%04d", i)
	}
	return words
}

// A row whose value is too large is a bad row. It is found, refused, and teaches nothing about requests.
func TestARowTeachesNothingAboutRequests(t *testing.T) {
	for _, says := range []string{
		"Field amount: value is too large for NUMERIC(5, 2)", "AppendRows request too large: 12 limit 5",
	} {
		fake, s := world(t)
		fake.on(func(r *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
			for _, row := range r.GetProtoRows().GetRows().GetSerializedRows() {
				if string(row) == "bad" && !written {
					return refusal(codes.InvalidArgument, 0, says), nil
				}
			}
			return nil, nil
		})
		stream, a, results := openStream(t, s)
		words := numberedWords(1000)
		words[500] = "bad"
		send(a, 1, strings.Join(words, " "))
		if r := receive(t, results); len(r.Refused) != 1 || r.Refused[0].Row != 500 {
			t.Fatalf("%s: got %+v", says, r)
		}
		a.Resume()
		wantWritten(t, results, 1, 999)
		if got := s.limit.at(time.Now()); got != s.limit.most {
			t.Errorf("%s: the limit of every stream is %d now", says, got)
		}
		if got := len(strings.Fields(fake.held(stream))); got != 999 {
			t.Errorf("%s: %d rows written", says, got)
		}
	}
}

// What is learnt has a floor, whatever the error says, never rises by learning, and ends.
func TestWhatIsLearntHasAFloorAndAnEnd(t *testing.T) {
	now := time.Unix(0, 0)
	l := newRequestLimit(9 << 20)
	l.learn(5<<20, now)
	if got := l.at(now); got != 5<<20 {
		t.Fatalf("learnt %d", got)
	}
	l.learn(8<<20, now.Add(time.Minute))
	if got := l.at(now.Add(learntFor - 1)); got != 5<<20 {
		t.Errorf("a higher limit was learnt: %d", got)
	}
	if got := l.at(now.Add(learntFor)); got != 9<<20 {
		t.Errorf("%d after its end", got)
	}
	l.learn(8<<20, now.Add(learntFor))
	if got := l.at(now.Add(learntFor)); got != 8<<20 {
		t.Errorf("%d: what has ended keeps from learning", got)
	}
	l.learn(1, now.Add(learntFor))
	if got := l.at(now.Add(learntFor)); got != 8<<20 {
		t.Errorf("%d: something below the floor was learnt", got)
	}
	l.learn(8<<20, now.Add(learntFor+time.Minute))
	if got := l.at(now.Add(2 * learntFor)); got != 9<<20 {
		t.Errorf("%d: what was known already has put off its end", got)
	}
	l.learn(leastRequest, now.Add(3*learntFor))
	if got := l.at(now.Add(3 * learntFor)); got != leastRequest {
		t.Errorf("%d: the floor itself was not learnt", got)
	}
}

// A request that is too large is split at once even where nothing can be learnt from it: it is below the floor.
func TestARequestBelowTheFloorIsSplit(t *testing.T) {
	fake, s := world(t)
	fake.on(func(r *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
		if !written && len(r.GetProtoRows().GetRows().GetSerializedRows()) > 3 {
			return refusal(codes.InvalidArgument, 0, "AppendRows request too large: 40 limit 30"), nil
		}
		return nil, nil
	})
	stream, a, results := openStream(t, s)
	words := numberedWords(20)
	send(a, 1, strings.Join(words, " "))
	wantWritten(t, results, 1, 20)
	if got := fake.held(stream); got != strings.Join(words, " ") || s.limit.at(time.Now()) != s.limit.most {
		t.Errorf("stream holds %s, the limit is %d", got, s.limit.at(time.Now()))
	}
}

// An error of the network is tried again, whatever words are in it: it refuses no row, teaches nothing and stops no
// fence.
func TestTheNetworksErrorsAreTriedAgain(t *testing.T) {
	t.Parallel()
	for _, away := range []error{
		grpcstatus.Error(codes.Unavailable,
			`error reading from server: http2: frame too large, note that the frame header looked like an HTTP/1.1 header`),
		grpcstatus.Error(codes.Unavailable, "request too large: rows"),
		grpcstatus.Error(codes.Internal, "stream finalized: rows too large"),
		grpcstatus.Error(codes.PermissionDenied,
			`unexpected HTTP status code received from server: 403 (Forbidden); `+
				`transport: received unexpected content-type "text/html"`),
		grpcstatus.Error(codes.Unimplemented, `unexpected HTTP status code received from server: 404 (Not Found)`),
	} {
		fake, s := world(t)
		once := false
		fake.on(func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) {
			if once {
				return nil, nil
			}
			once = true
			return nil, away
		})
		stream, a, results := openStream(t, s)
		send(a, 1, "good")
		wantWritten(t, results, 1, 1)
		fake.mu.Lock()
		fake.finalizes = []error{away, away}
		fake.mu.Unlock()
		if rows, err := s.Finalize(deadline(t), stream); err != nil || rows != 1 {
			t.Errorf("%v: %d rows, %v", away, rows, err)
		}
		if s.limit.at(time.Now()) != s.limit.most {
			t.Errorf("%v has taught something", away)
		}
	}
}

// A response that says neither written nor refused confirms nothing. The rows go again, and the stream reports whether
// they were there.
func TestAnEmptyResponseConfirmsNothing(t *testing.T) {
	t.Parallel()
	empty := &storagepb.AppendRowsResponse{UpdatedSchema: &storagepb.TableSchema{}}
	noOffset := &storagepb.AppendRowsResponse{Response: &storagepb.AppendRowsResponse_AppendResult_{
		AppendResult: &storagepb.AppendRowsResponse_AppendResult{},
	}}
	for name, c := range map[string]struct {
		response *storagepb.AppendRowsResponse
		after    bool // the rows are written all the same
	}{
		"empty, not written": {empty, false}, "empty, written": {empty, true},
		"without offset, not written": {noOffset, false}, "without offset, written": {noOffset, true},
	} {
		t.Run(name, func(t *testing.T) {
			fake, s := world(t)
			times := 0
			fake.on(func(_ *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
				if written != c.after || times == 2 {
					return nil, nil
				}
				times++
				return c.response, nil
			})
			stream, a, results := openStream(t, s)
			send(a, 1, "a b")
			wantWritten(t, results, 1, 2)
			if got := fake.held(stream); got != "a b" {
				t.Errorf("stream holds %q", got)
			}
		})
	}
	t.Run("for ever", func(t *testing.T) {
		fake, s := world(t)
		fake.on(func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) { return empty, nil })
		_, a, results := openStream(t, s)
		send(a, 1, "a b")
		if r := receive(t, results); r.Err == nil || r.Written != 0 {
			t.Errorf("got %+v", r)
		}
		_, d, others := openDefault(t, s)
		send(d, 1, "a")
		if r := receive(t, others); r.Err == nil {
			t.Errorf("default stream: got %+v", r)
		}
	})
}

// A fault that concerns no row, refusing row after row, is not the rows' fault: after a few of them the lane stops, and
// says so to an operator.
func TestRefusingOneByOneHasABound(t *testing.T) {
	generic := refusal(codes.InvalidArgument, 0, "Request contains an invalid argument.")
	huge := refusal(codes.InvalidArgument, 0, "AppendRows request too large: 10485761")
	for name, c := range map[string]struct {
		refuses  func(rows [][]byte) *storagepb.AppendRowsResponse
		batch    int // rows
		refused  int // at most, or exactly where the lane goes on
		stops    bool
		batches  int
		repeated bool
	}{
		"every row, large batches": {
			func([][]byte) *storagepb.AppendRowsResponse { return generic }, 100, maxDoubts, true, 3, false,
		},
		"every row, batches of one": {
			func([][]byte) *storagepb.AppendRowsResponse { return generic }, 1, maxDoubts, true, 2 * maxDoubts, false,
		},
		"every row, default stream": {
			func([][]byte) *storagepb.AppendRowsResponse { return generic }, 100, maxDoubts, true, 3, true,
		},
		"every small row too large": {
			func([][]byte) *storagepb.AppendRowsResponse { return huge }, 10, maxDoubts, true, 3, false,
		},
		"a share of a large batch": {func(rows [][]byte) *storagepb.AppendRowsResponse {
			for _, row := range rows {
				if row[len(row)-1]%2 == 0 {
					return generic
				}
			}
			return nil
		}, 400, 40, true, 1, false},
		"few of every batch": {func(rows [][]byte) *storagepb.AppendRowsResponse {
			for _, row := range rows {
				if strings.HasSuffix(string(row), "25") {
					return generic
				}
			}
			return nil
		}, 100, 20, false, 20, false},
		"a different reason for each": {func(rows [][]byte) *storagepb.AppendRowsResponse {
			return refusal(codes.InvalidArgument, 0,
				"bad: "+strings.Map(func(r rune) rune { return r - '0' + 'a' }, string(rows[0][4:])))
		}, 15, 15, false, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			fake, s := world(t)
			fake.on(func(r *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
				if written {
					return nil, nil
				}
				return c.refuses(r.GetProtoRows().GetRows().GetSerializedRows()), nil
			})
			_, a, results := openStream(t, s)
			if c.repeated {
				_, a, results = openDefault(t, s)
			}
			refused := 0
			for batch := range uint64(c.batches) {
				send(a, batch, strings.Join(numberedWords(c.batch), " "))
				for {
					r := receive(t, results)
					if r.Err != nil {
						if !c.stops || grpcstatus.Code(r.Err) != codes.FailedPrecondition ||
							!strings.Contains(r.Err.Error(), "names no row") {
							t.Errorf("stopped: %v", r.Err)
						}
						if refused != c.refused {
							t.Errorf("%d rows were refused before, want %d", refused, c.refused)
						}
						return
					}
					if len(r.Refused) == 0 {
						break
					}
					refused += len(r.Refused)
					a.Resume()
				}
			}
			if c.stops || refused != c.refused {
				t.Errorf("%d rows refused, and the lane goes on", refused)
			}
		})
	}
}

// Bad rows that end the connection leave the good requests beside them in doubt, so the lane opens again. The next
// appender of the table sends one request at a time: the bad row is found for sure, and the lane does not open again
// and again.
func TestABadRowThatEndsConnectionsIsFoundAfterAll(t *testing.T) {
	fake, s := world(t)
	fake.on(func(r *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
		for _, row := range r.GetProtoRows().GetRows().GetSerializedRows() {
			if string(row) == "bad" && !written {
				return nil, grpcstatus.Error(codes.InvalidArgument, "Cannot parse serialized row")
			}
		}
		return nil, nil
	})
	batches := []string{"a b", "c bad d", "e f", "g"}
	for opened := 1; ; opened++ {
		if opened > 3 {
			t.Fatal("the lane opens again and again")
		}
		stream, a, results := openStream(t, s)
		for i, batch := range batches {
			send(a, uint64(i), batch)
		}
		var r lane.Result
		for r = receive(t, results); r.Err == nil && len(r.Refused) == 0; r = receive(t, results) {
		}
		if errors.Is(r.Err, errInDoubt) {
			continue // The next owner counts what the stream holds; here it begins anew.
		}
		if len(r.Refused) != 1 || r.ID != 1 || r.Refused[0].Row != 1 {
			t.Fatalf("got %+v", r)
		}
		a.Resume()
		wantWritten(t, results, 1, 2)
		wantWritten(t, results, 2, 2)
		wantWritten(t, results, 3, 1)
		if got := fake.held(stream); got != "a b c d e f g" {
			t.Errorf("stream holds %s", got)
		}
		return
	}
}

// A call that ends with several requests under way teaches the limit that its error names, if it is about their size.
func TestACallThatEndsTeachesTheLimit(t *testing.T) {
	for _, c := range []struct {
		fault fault
		want  int
	}{
		{fault{kind: tooLarge, limit: 200_000}, 200_000},
		{fault{kind: tooLarge}, 300_000},
		{fault{kind: tooLarge, limit: 400_000}, 300_000},
		{fault{kind: tooLarge, limit: 399_999}, 399_999},
		{fault{kind: suspect, limit: 200_000}, 1 << 20},
		{fault{kind: renew}, 1 << 20},
	} {
		q := newQueue(0, 1<<20, 0, func() float64 { return 0 })
		now := time.Unix(0, 0)
		for i, size := range []int{100_000, 400_000, 70_000} {
			q.append(uint64(i), 2, frame(make([]byte, size/2-4), make([]byte, size/2-4)))
		}
		q.next(now)
		q.up()
		for range 3 {
			q.next(now)
		}
		if q.down(&c.fault, now); q.limit.at(now) != c.want {
			t.Errorf("%v, limit %d: learnt %d, want %d", c.fault.kind, c.fault.limit, q.limit.at(now), c.want)
		}
	}
}
