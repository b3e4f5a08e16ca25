package statuspage

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// The bounds of a tap on the page: its samples are shown together, when it has ended.
const (
	usualTapped, mostTapped = 10, 50
	usualFor, longestFor    = 5 * time.Second, 30 * time.Second
	// mostRow bounds what is shown of a row, in bytes.
	mostRow = 4 << 10
)

// tapPoints are the points of a tap by their words.
var tapPoints = map[string]adminv1.Point{
	"": adminv1.Point_POINT_RECORD, "record": adminv1.Point_POINT_RECORD, "row": adminv1.Point_POINT_ROW,
	"refused": adminv1.Point_POINT_REFUSED, "dead-letter": adminv1.Point_POINT_DEAD_LETTER,
}

// tapped is what the template shows.
type tapped struct {
	Values    url.Values
	Points    []string
	Error     string
	Ended     bool
	Samples   []*adminv1.Sample
	Counts    *adminv1.TapCounts
	Responses []*adminv1.ProcessResponse
}

// GetResponses has the template say who responds.
func (t *tapped) GetResponses() []*adminv1.ProcessResponse { return t.Responses }

// tap shows records as they pass, once it is asked to: /tap?topic=&table=&at=&where=&limit=&for=&go=1.
func (e *explainPage) tap(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	out := &tapped{Values: v, Points: []string{"record", "row", "refused", "dead-letter"}}
	code := http.StatusOK
	if v.Get("go") != "" {
		// The response may come later than other pages do.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		if err := e.tapInto(r.Context(), v, out); err != nil {
			code, out.Error = codeOf(err), status.Convert(err).Message()
		}
	}
	e.show(w, r, code, "Records as they pass", "tap", out)
}

func (e *explainPage) tapInto(ctx context.Context, v url.Values, out *tapped) error {
	at, ok := tapPoints[v.Get("at")]
	if !ok {
		return status.Errorf(codes.InvalidArgument, "at: %q is no point: record, row, refused or dead-letter",
			v.Get("at"))
	}
	limit, err := strconv.Atoi(cmp.Or(text(v, "limit"), strconv.Itoa(usualTapped)))
	if err != nil || limit < 1 || limit > mostTapped {
		return status.Errorf(codes.InvalidArgument, "limit: %q is not within 1 and %d", v.Get("limit"), mostTapped)
	}
	length, err := time.ParseDuration(cmp.Or(text(v, "for"), usualFor.String()))
	if err != nil || length <= 0 || length > longestFor {
		return status.Errorf(codes.InvalidArgument, "for: %q is no length of time up to %v", v.Get("for"), longestFor)
	}
	out.Ended = true
	return e.records.Tap(&adminv1.TapRequest{
		Topic: text(v, "topic"), Table: text(v, "table"), At: at, Where: v.Get("where"),
		Limit: int32(limit), For: durationpb.New(length), //nolint:gosec // at most 50
	}, &tapStream{ctx: ctx, into: out, most: limit})
}

// tapStream keeps what a tap sends.
type tapStream struct {
	grpc.ServerStream

	ctx  context.Context // of the request, which it does not outlive
	into *tapped
	most int
}

// Context implements grpc.ServerStream.
func (s *tapStream) Context() context.Context { return s.ctx }

// Send implements grpc.ServerStreamingServer.
func (s *tapStream) Send(r *adminv1.TapResponse) error {
	switch m := r.GetMessage().(type) {
	case *adminv1.TapResponse_Response:
		s.into.Responses = append(s.into.Responses, m.Response)
	case *adminv1.TapResponse_Counts:
		s.into.Counts = m.Counts
	case *adminv1.TapResponse_Sample:
		if len(s.into.Samples) < s.most {
			m.Sample.Row = cutText(m.Sample.GetRow(), mostRow)
			m.Sample.Error = cutText(m.Sample.GetError(), mostRow)
			s.into.Samples = append(s.into.Samples, m.Sample)
		}
	}
	return nil
}

// cutText shortens a text.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + " …"
}

// previewed is what the template of a preview shows.
type previewed struct {
	Topic string
	Error string
	Said  *adminv1.PreviewResponse
}

// preview shows what would become of a topic's newest records by the contracts of the configuration file.
func (e *explainPage) preview(w http.ResponseWriter, r *http.Request) {
	out := &previewed{Topic: text(r.URL.Query(), "topic")}
	code := http.StatusOK
	if out.Topic != "" {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		said, err := e.records.Preview(r.Context(), &adminv1.PreviewRequest{Topic: out.Topic})
		if err != nil {
			code, out.Error = codeOf(err), status.Convert(err).Message()
		}
		out.Said = said
	}
	e.show(w, r, code, "Preview", "preview", out)
}
