package statuspage

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// passing are records that pass: more, and larger ones, than a page shows.
type passing struct {
	adminv1.UnimplementedRecordServiceServer
}

func (passing) Tap(r *adminv1.TapRequest, stream grpc.ServerStreamingServer[adminv1.TapResponse]) error {
	if r.GetWhere() == "no filter" {
		return status.Error(codes.InvalidArgument, "where: 1:4: Syntax error: <here>")
	}
	send := func(m *adminv1.TapResponse) {
		if err := stream.Send(m); err != nil {
			panic(err)
		}
	}
	send(&adminv1.TapResponse{Message: &adminv1.TapResponse_Response{
		Response: &adminv1.ProcessResponse{Process: "ingest-1"},
	}})
	for i := range int64(200) {
		send(&adminv1.TapResponse{Message: &adminv1.TapResponse_Sample{Sample: &adminv1.Sample{
			Topic: "orders", Partition: 3, Offset: i, Type: "order.Placed", Contract: "orders.v1", Table: "orders",
			Row: "{" + hostile + strings.Repeat("é", 1<<16) + "}", Reason: "refused", Error: hostile,
		}}})
	}
	counts := &adminv1.TapCounts{Seen: 900, Dropped: 700}
	send(&adminv1.TapResponse{Message: &adminv1.TapResponse_Counts{Counts: counts}})
	return nil
}

func (passing) Preview(_ context.Context, r *adminv1.PreviewRequest) (*adminv1.PreviewResponse, error) {
	if r.GetTopic() != "orders" {
		return nil, status.Error(codes.NotFound, "topic: no contract has that")
	}
	out := &adminv1.PreviewResponse{Records: 1000, Rows: 990, DeadLetters: 10, Ended: "time", Grown: true}
	for range 200 {
		out.RowsBy = append(out.RowsBy, &adminv1.PreviewedRows{Table: "orders", Contract: "c", Type: hostile, Rows: 9})
		out.LettersBy = append(out.LettersBy, &adminv1.PreviewedLetters{
			Reason: "undecodable", Field: "total", Letters: 3, Error: strings.Repeat(hostile, 8), Partition: 1,
			Offset: 7,
		})
	}
	return out, nil
}

// Records are shown once that is asked for, and bounded; what a topic would become is tabulated; what is not sensible
// says why. Both are whole pages below 300 KB, with nothing of a record that a browser would run.
func TestTapAndPreview(t *testing.T) {
	page := Explains(http.NotFoundHandler(), passing{})
	for path, want := range map[string]struct {
		code  int
		texts []string
	}{
		"/tap?topic=orders": {200, []string{`name="topic" value="orders"`, `value="5s"`}},
		"/tap?topic=orders&at=row&go=1": {200, []string{
			"10 records, of 900 that passed; 700 were not looked at", "orders/3/9", "<option selected>row",
			"Reported by ingest-1",
		}},
		"/tap?go=1&limit=50":        {200, []string{"50 records, of 900"}},
		"/tap?go=1&limit=51":        {400, []string{"limit: &#34;51&#34; is not within 1 and 50"}},
		"/tap?go=1&for=31s":         {400, []string{"for: &#34;31s&#34; is no length of time up to 30s"}},
		"/tap?go=1&at=nowhere":      {400, []string{"at: &#34;nowhere&#34; is no point"}},
		"/tap?go=1&where=no+filter": {400, []string{"where: 1:4: Syntax error: &lt;here&gt;", `value="no filter"`}},
		"/preview":                  {200, []string{"Nothing is sent or committed"}},
		"/preview?topic=orders": {200, []string{
			"Of the last 1000 records of orders, 990 would become rows and 10 dead letters", "cut short by time",
			"1/7: ",
		}},
		"/preview?topic=order": {404, []string{"no contract has that"}},
	} {
		code, body := visit(page, http.MethodGet, path, nil)
		for _, text := range want.texts {
			if code != want.code || !strings.Contains(body, text) {
				t.Errorf("%s: status %d, without %s: %.3000s", path, code, text, body)
			}
		}
		if len(body) > 300_000 || strings.Contains(body, "<script>alert") {
			t.Errorf("%s: %d bytes", path, len(body))
		}
	}
}
