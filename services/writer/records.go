package writer

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/access"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// records serves adminv1.RecordService as far as a writer knows records: where the rows of a batch are.
type records struct {
	adminv1.UnimplementedRecordServiceServer

	self  *adminv1.ProcessResponse
	lanes *lane.Service
}

// Tap implements adminv1.RecordServiceServer.
func (*records) Tap(*adminv1.TapRequest, adminv1.RecordService_TapServer) error {
	return errNoRecords
}

// Preview implements adminv1.RecordServiceServer.
func (*records) Preview(context.Context, *adminv1.PreviewRequest) (*adminv1.PreviewResponse, error) {
	return nil, errNoRecords
}

var errNoRecords = status.Error(codes.Unimplemented, "a writer sees rows and no records: ask an ingest")

// Explain implements adminv1.RecordServiceServer.
func (r *records) Explain(ctx context.Context, q *adminv1.ExplainRequest) (*adminv1.ExplainResponse, error) {
	out := &adminv1.ExplainResponse{
		Text: "its batch is not remembered here", Responses: []*adminv1.ProcessResponse{r.self},
	}
	w, ok := r.lanes.Written(q.GetTopic(), q.GetPartition(), q.GetOffset())
	if !ok {
		return out, nil
	}
	out.Place, out.Text = adminv1.Place_PLACE_SETTLED, "its batch is settled"
	out.Written = &adminv1.WrittenBatch{Writer: r.lanes.Name, First: w.Start, End: w.End}
	for _, b := range w.Blocks {
		block := &adminv1.WrittenBlock{
			Table: short(b.Table), Stream: b.Stream, Offset: b.Offset, Rows: int32(b.Rows), //nolint:gosec // of a batch
			Refused: int32(b.Refused), //nolint:gosec // of a batch
		}
		if !access.CallerOf(ctx).May(access.Operator) { // who knows the name of a stream could append to it
			block.Stream = ""
		}
		out.Written.Blocks = append(out.Written.Blocks, block)
	}
	return out, nil
}
