package sink

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
)

// One bad row among 10,000: the others are written, once and in order, and it costs a bisect and not the batch, whether
// BigQuery says which row it is or not.
func TestOneBadRowOfMany(t *testing.T) {
	const rows, bad = 10_000, 7_654
	for name, tt := range map[string]struct {
		listed   bool
		requests int // at most, with the one that BigQuery refused
	}{
		"listed":   {true, 2},
		"unlisted": {false, 6 * bits.Len(rows)},
	} {
		t.Run(name, func(t *testing.T) {
			fake, s := world(t)
			requests, sent := 0, 0
			if tt.listed {
				fake.bad = func(row string) bool { return row == "bad" }
			}
			fake.on(func(r *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
				if written {
					return nil, nil
				}
				held := r.GetProtoRows().GetRows().GetSerializedRows()
				requests++
				sent += len(held)
				for _, row := range held {
					if !tt.listed && string(row) == "bad" &&
						r.GetOffset().GetValue() == int64(len(fake.streams[only(fake)].rows)) {
						return refusal(codes.InvalidArgument, 0, "Errors found while processing rows."), nil
					}
				}
				return nil, nil
			})
			stream, a, results := openStream(t, s)
			words := make([]string, rows)
			for i := range words {
				words[i] = fmt.Sprintf("r%d", i)
			}
			words[bad] = "bad"
			send(a, 1, strings.Join(words, " "))
			r := receive(t, results)
			if len(r.Refused) != 1 || r.Refused[0].Row != bad {
				t.Fatalf("refused %+v", r.Refused)
			}
			a.Resume()
			if rest := receive(t, results); rest.Written != rows-1 || rest.Err != nil {
				t.Errorf("written %d: %v", rest.Written, rest.Err)
			}
			if got := fake.held(stream); got != strings.Join(append(words[:bad:bad], words[bad+1:]...), " ") {
				t.Error("the stream does not hold the others in order, each once")
			}
			if requests > tt.requests || sent > 6*rows {
				t.Errorf("%d requests with %d rows, want at most %d with %d", requests, sent, tt.requests, 6*rows)
			}
			t.Logf("%d requests with %d rows", requests, sent)
		})
	}
}

// only is the name of the fake's one stream; its lock is held.
func only(f *fakeBigQuery) string {
	for name := range f.streams {
		return name
	}
	return ""
}
