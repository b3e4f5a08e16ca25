package steering

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/config"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// The bounds of how long a writer has no lanes because an operator said so.
const (
	shortestDrain, longestDrain = time.Second, 24 * time.Hour
)

// CheckDrain is Check, and refuses what says nothing sensible about the draining of a writer.
func CheckDrain(r *adminv1.DrainWriterRequest) (*adminv1.Act, error) {
	act, err := Check(r.GetAct())
	if err != nil {
		return nil, err
	}
	if r.GetWriter() == "" {
		return nil, status.Error(codes.InvalidArgument, "writer: names none")
	}
	length := r.GetLength().AsDuration()
	if !r.GetEnd() && (length < shortestDrain || length > longestDrain) {
		return nil, status.Errorf(
			codes.InvalidArgument,
			"length: %s is not within %s and %s",
			config.Spoken(length), config.Spoken(shortestDrain), config.Spoken(longestDrain),
		)
	}
	return act, nil
}
