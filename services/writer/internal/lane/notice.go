package lane

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// Storm is why rows of a table wait for BigQuery.
type Storm struct {
	// Cause is the same for as long as the storm lasts, Text what BigQuery said last.
	Cause, Text string
	Since       time.Time
}

// noticeEvery is how often lanes get notices of storms that begin and end.
const noticeEvery = time.Second

// Watch notifies the lanes that want it of the storms of their tables, until ctx ends. Without Storms there is nothing
// to notify of.
func (s *Service) Watch(ctx context.Context) {
	s.init()
	look := s.Storms
	if reporter, ok := s.Sink.(Reporter); ok && look == nil {
		look = func() map[string]Storm { return stormsOf(reporter) }
	}
	if look == nil {
		return
	}
	tick := time.NewTicker(noticeEvery)
	defer tick.Stop()
	rough := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		storms := look()
		if len(storms) > 0 || rough {
			rough = s.notify(storms)
		}
	}
}

// notify posts what is new to each lane, and reports whether any of them is in a storm.
func (s *Service) notify(storms map[string]Storm) (rough bool) {
	for _, l := range s.list() {
		tables := l.noticing.Load()
		if tables == nil {
			continue
		}
		n := noticeOf(storms, *tables)
		if n.GetCause() != l.noticed {
			l.noticed = n.GetCause()
			l.mail.post(event{kind: eventNotice, notice: n})
		}
		rough = rough || l.noticed != ""
	}
	return rough
}

// stormsOf are the troubles of a sink that pass. A refusal is none: the lane learns of that from its own call.
func stormsOf(r Reporter) map[string]Storm {
	storms := make(map[string]Storm)
	for name, t := range r.Troubles() {
		if t.State != "refused" {
			storms[name] = Storm{Cause: t.State, Text: t.Reason, Since: t.Since}
		}
	}
	return storms
}

// noticeOf is what the storms mean for a lane with routes to these tables: an empty notice when they are others'.
func noticeOf(storms map[string]Storm, tables []string) *lanev1.Notice {
	var causes, texts []string
	var since time.Time
	for name, storm := range storms {
		short := lastPart(name, "/")
		if !slices.ContainsFunc(tables, func(route string) bool { return lastPart(route, ".") == short }) {
			continue
		}
		causes, texts = append(causes, storm.Cause), append(texts, storm.Text)
		if since.IsZero() || storm.Since.Before(since) {
			since = storm.Since
		}
	}
	if len(causes) == 0 {
		return &lanev1.Notice{}
	}
	slices.Sort(causes)
	slices.Sort(texts)
	return &lanev1.Notice{
		Cause: strings.Join(slices.Compact(causes), "; "), Text: strings.Join(slices.Compact(texts), "; "),
		Since: timestamppb.New(since),
	}
}

// notices notes the tables that an ingest wants notices of.
func (l *lane) notices(open *lanev1.Open) {
	if !open.GetNotices() {
		return
	}
	tables := make([]string, len(open.GetRoutes()))
	for i, r := range open.GetRoutes() {
		tables[i] = r.GetTable()
	}
	l.noticing.Store(&tables)
}

// notice sends a notice.
func (l *lane) notice(n *lanev1.Notice) error {
	return l.stream.Send(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Notice{Notice: n}})
}
