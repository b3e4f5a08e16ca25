package statuspage

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// reported explains one record.
type reported struct {
	adminv1.UnimplementedRecordServiceServer
}

func (reported) Explain(_ context.Context, r *adminv1.ExplainRequest) (*adminv1.ExplainResponse, error) {
	if r.GetTopic() != "orders" {
		return nil, status.Error(codes.NotFound, `there is no topic; the nearest is <b>"orders"</b>`)
	}
	return &adminv1.ExplainResponse{
		Text: "settled <at once>", Lane: &adminv1.Lane{Topic: "orders", Partition: 3, Ingest: "ingest-1"},
		Batch: &adminv1.Batch{Sequence: 7, First: 120, End: 130, Rows: 9, DeadLetters: 1},
		Written: &adminv1.WrittenBatch{
			Writer: "w1", Blocks: []*adminv1.WrittenBlock{{Table: "t", Stream: "s1", Offset: 40, Rows: 9}},
		},
	}, nil
}

// One record is followed: what became of it, its lane, batch and rows; what is no record, and what does not exist, says
// so; everything else is the page's.
func TestExplain(t *testing.T) {
	page := Explains(http.NotFoundHandler(), reported{})
	for path, want := range map[string][]string{
		"/explain": {"topic/partition/offset"},
		"/explain?record=orders/3/125": {
			"Settled &lt;at once&gt;.<", "orders/3</a> of ingest-1", "7, offsets 120 up to 130, 9 rows", "1 dead letters",
			"9 in t, <code>s1</code> from row 40 on, by w1", `value="orders/3/125"`,
		},
		"/explain?record=orders/3":       {"400", "write topic/partition/offset"},
		"/explain?record=orders/-1/5":    {"400", "write topic/partition/offset"},
		"/explain?record=order%3C/3/125": {"404", "the nearest is &lt;b&gt;"},
		"/tables":                        {"404"},
	} {
		code, body := visit(page, http.MethodGet, path, nil)
		for _, text := range want {
			switch {
			case text == "400" && code == http.StatusBadRequest, text == "404" && code == http.StatusNotFound:
			case !strings.Contains(body, text):
				t.Errorf("%s: status %d, without %s: %s", path, code, text, body)
			}
		}
	}
}
