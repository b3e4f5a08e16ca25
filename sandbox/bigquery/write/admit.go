package write

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/sandbox/bigquery/fault"
)

// admit lets faults strike a unary call.
func (s *Server) admit(ctx context.Context, method, table, stream string) error {
	e := s.cfg.Faults.At(fault.Call{Method: method, Table: table, Stream: stream})
	if d := e.Delay + e.BeforeApply; d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	if e.Reset {
		s.reset(ctx)
		return status.Error(codes.Unavailable, "connection reset")
	}
	if e.Refuse != nil {
		return refusal(e.Refuse).Err()
	}
	return nil
}

// refusal is the status of a fault, as the real service puts it.
func refusal(f *fault.Fault) *status.Status {
	switch f.Kind {
	case fault.Quota:
		return status.New(codes.ResourceExhausted,
			"Exceeds quota limit for quota metric 'Requests' and limit 'CreateWriteStream requests'")
	case fault.Unavailable:
		return status.New(codes.Unavailable, "The service is currently unavailable.")
	}
	return status.New(codes.Aborted,
		"Closing the stream because server is restarted. This is expected and client is advised to reconnect.")
}
