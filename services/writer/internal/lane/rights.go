package lane

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/access"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// mayCarry refuses a lane that its caller's rights do not cover: by its group and topic, by the tables that it routes
// to, and, before anything of a checkpoint is finalized or adopted, by the tables that the checkpoint names.
func (l *lane) mayCarry(ctx context.Context, open *lanev1.Open, of []checkpoint.Table) error {
	var tables []string
	for _, r := range open.GetRoutes() {
		tables = append(tables, r.GetTable())
	}
	for i := range of {
		tables = append(tables, dotted(of[i].Name))
	}
	caller := access.CallerOf(ctx)
	return denied(caller, caller.MayCarry(open.GetGroup(), open.GetTopic(), tables,
		access.FullTable(l.service.Project, l.service.Dataset)))
}

func denied(caller access.Caller, refused string) error {
	if refused == "" {
		return nil
	}
	return status.Errorf(codes.PermissionDenied, "%s has the right lane, but not for %s; give it by only of "+
		"access.identities, or in the file of access.tokens", caller.Name, refused)
}

// dotted turns projects/P/datasets/D/tables/T into P.D.T. What is no such name becomes one that no pattern takes.
func dotted(resource string) string {
	parts := strings.Split(resource, "/")
	if len(parts) != 6 || parts[0] != "projects" || parts[2] != "datasets" || parts[4] != "tables" {
		return "?.?." + resource
	}
	return parts[1] + "." + parts[3] + "." + parts[5]
}
