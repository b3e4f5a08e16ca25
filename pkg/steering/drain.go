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

// CheckDrain refuses what says nothing sensible about the draining of a writer.
func CheckDrain(r *adminv1.DrainWriterRequest) error {
	if r.GetWriter() == "" {
		return status.Error(codes.InvalidArgument, "writer: names none")
	}
	length := r.GetLength().AsDuration()
	if !r.GetEnd() && (length < shortestDrain || length > longestDrain) {
		return status.Errorf(
			codes.InvalidArgument,
			"length: %s is not within %s and %s",
			config.Spoken(length), config.Spoken(shortestDrain), config.Spoken(longestDrain),
		)
	}
	return nil
}
